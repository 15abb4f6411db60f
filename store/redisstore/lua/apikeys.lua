-- SPDX-License-Identifier: Apache-2.0

-- The common part of the scripts for API keys, which precedes each of them.
--
-- KEYS[1] is the prefix of all names. It contains a hash tag, so that in a cluster
-- all keys are in one slot. A record is a hash and a member of nine sorted sets:
-- "ends" by the time of expiry, "made" by the time of creation and, until it is
-- revoked, "live" by the time of expiry; the last two for all records, for the
-- tenant, for the owner, and for both.

local function record(id)
	return base .. ':key:' .. id
end

-- The length of the tenant makes the name of each pair unique.
local function both(tenant, owner)
	return ':both:' .. #tenant .. ':' .. tenant .. owner
end

local function indexes(kind, tenant, owner)
	local start = base .. ':' .. kind
	return { start .. ':all', start .. ':tenant:' .. tenant, start .. ':owner:' .. owner, start .. both(tenant, owner) }
end

-- Returns the index of the records that match a filter.
local function index(kind, anytenant, tenant, owner)
	local start = base .. ':' .. kind
	if anytenant == '1' then
		if owner == '' then
			return start .. ':all'
		end
		return start .. ':owner:' .. owner
	end
	if owner == '' then
		return start .. ':tenant:' .. tenant
	end
	return start .. both(tenant, owner)
end

local function enter(kind, tenant, owner, time, id)
	for _, name in ipairs(indexes(kind, tenant, owner)) do
		redis.call('ZADD', name, time, id)
	end
end

local function leave(kind, tenant, owner, id)
	for _, name in ipairs(indexes(kind, tenant, owner)) do
		redis.call('ZREM', name, id)
	end
end

-- Sets the expiry of a record in the index of all records.
local function ends(id, expires)
	redis.call('ZADD', base .. ':ends', expires, id)
end

local function remove(id)
	local r = redis.call('HMGET', record(id), 'tenant', 'owner')
	if r[1] then
		leave('made', r[1], r[2], id)
		leave('live', r[1], r[2], id)
	end
	redis.call('ZREM', base .. ':ends', id)
	redis.call('DEL', record(id))
end

-- Removes up to ten records that expired more than 90 days ago (apikey.Retention).
local function sweep(time)
	local last = text(time - 90 * 24 * 3600 * 1000000)
	for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. ':ends', '-inf', last, 'LIMIT', 0, 10)) do
		remove(id)
	end
end

-- Notifies all processes, in the same transaction as the change. Redis undoes no
-- change when a later command of the script fails, so a change that cannot be
-- published is not an error: its status is "unpublished".
local status = 'ok'
local function tell(id)
	local reply = redis.pcall('PUBLISH', base .. ':changed', id)
	if type(reply) == 'table' and reply.err then
		status = 'unpublished'
	end
end

-- A reply is a status, the time and the records, each with its ID before it.
local function found(id, time)
	return { status, text(time), { id, redis.call('HGETALL', record(id)) } }
end
