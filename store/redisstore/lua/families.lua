-- SPDX-License-Identifier: Apache-2.0

-- What the scripts below have in common; it is put before each of them.
--
-- KEYS[1] is the name that all others begin with. It holds a hash tag, so that
-- in a cluster they are all in one slot. A family is a hash that goes when its
-- time is over, and until it has ended a member of two sorted sets by the time
-- at which it is over: that of its subject and that of its client.

-- Redis ends keys by the millisecond; nothing ends before its time.
local function expire(name, time)
	redis.call('PEXPIREAT', name, text(math.ceil(time / 1000)))
end

local function record(id)
	return base .. ':family:' .. id
end

local function indexes(subject, client)
	return { base .. ':subject:' .. subject, base .. ':client:' .. client }
end

local function finish(id, time, subject, client)
	redis.call('HSET', record(id), 'ended', text(time))
	redis.call('HDEL', record(id), 'successor')
	for _, name in ipairs(indexes(subject, client)) do
		redis.call('ZREM', name, id)
	end
end

-- An answer is a word, the time and the records, each with its id before it.
local function found(id, time)
	return { 'ok', text(time), { id, redis.call('HGETALL', record(id)) } }
end
