-- SPDX-License-Identifier: Apache-2.0

-- What the scripts below have in common; it is put before each of them.
--
-- KEYS[1] is the name that all others begin with. It holds a hash tag, so that
-- in a cluster they are all in one slot. A family is a hash that goes when its
-- time is over, and until it has ended a member of two sorted sets by the time
-- at which it is over: that of its subject and that of its client.
--
-- Times are microseconds since 1970, as text: Lua computes with doubles, which
-- are exact up to 2^53, but prints only 14 digits of them.

local base = KEYS[1]

local function now()
	local t = redis.call('TIME')
	return t[1] * 1000000 + t[2]
end

local function text(number)
	return string.format('%.0f', number)
end

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
