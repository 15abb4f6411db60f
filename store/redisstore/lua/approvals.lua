-- SPDX-License-Identifier: Apache-2.0

-- Common part of the scripts for approvals.
--
-- KEYS[1] is the prefix of all names. It holds a hash tag, so that they are in one
-- slot of a cluster. An approval is a hash that is kept for an hour after its expiry.
-- The last approval of a digest is named by a string. The pending approvals of a tenant
-- are in a sorted set, scored by their creation, and those of an actor in another one,
-- scored by their expiry.

local hour = 3600000000

local function record(id)
	return base .. ':approval:' .. id
end

local function last(digest)
	return base .. ':digest:' .. digest
end

local function pending(tenant)
	return base .. ':tenant:' .. tenant
end

-- The length keeps apart a tenant and an actor that contain the separator.
local function asking(tenant, actor)
	return base .. ':actor:' .. #tenant .. ':' .. tenant .. ':' .. actor
end

-- Redis expires keys by the millisecond; no key may expire too early.
local function expire(name, time)
	redis.call('PEXPIREAT', name, text(math.ceil(time / 1000)))
end

local function stopWaiting(id, tenant, actor)
	redis.call('ZREM', pending(tenant), id)
	redis.call('ZREM', asking(tenant, actor), id)
end

-- A result is a status, the time and the records, each preceded by its ID.
local function found(id, time)
	return { 'ok', text(time), { id, redis.call('HGETALL', record(id)) } }
end

-- of returns whether an approval exists in a tenant.
local function of(id, tenant)
	return redis.call('HGET', record(id), 'tenant') == tenant
end
