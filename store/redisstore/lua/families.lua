-- SPDX-License-Identifier: Apache-2.0

-- Common part of the scripts for refresh token families.
--
-- KEYS[1] is the prefix of all names. It holds a hash tag, so that they are in one
-- slot of a cluster. A family is a hash that expires with it. An active family is
-- also a member of two sorted sets, scored by its expiry: that of its subject and
-- that of its client.

-- Redis expires keys by the millisecond; no key may expire too early.
local function expire(name, time)
	redis.call('PEXPIREAT', name, text(math.ceil(time / 1000)))
end

local function record(id)
	return base .. ':family:' .. id
end

local function indexes(subject, client)
	return { base .. ':subject:' .. subject, base .. ':client:' .. client }
end

local function revoke(id, time, subject, client)
	redis.call('HSET', record(id), 'revoked', text(time))
	redis.call('HDEL', record(id), 'successor')
	for _, name in ipairs(indexes(subject, client)) do
		redis.call('ZREM', name, id)
	end
end

-- A result is a status, the time and the records, each preceded by its ID.
local function found(id, time)
	return { 'ok', text(time), { id, redis.call('HGETALL', record(id)) } }
end
