-- SPDX-License-Identifier: Apache-2.0

-- What the scripts below have in common; it is put before each of them.
--
-- KEYS[1] is the name that all others begin with. It holds a hash tag, so that
-- in a cluster they are all in one slot. A record is a hash, and a member of
-- eight sorted sets: "made" by the time of its creation and, until it is
-- revoked, "live" by the time of its expiry; each for everybody, for its
-- tenant, for its owner, and for both.

local function record(id)
	return base .. ':key:' .. id
end

-- The length stands before a tenant, so that no two pairs have one name.
local function both(tenant, owner)
	return ':both:' .. #tenant .. ':' .. tenant .. owner
end

local function indexes(kind, tenant, owner)
	local start = base .. ':' .. kind
	return { start .. ':all', start .. ':tenant:' .. tenant, start .. ':owner:' .. owner, start .. both(tenant, owner) }
end

-- The index in which those stand that match a filter.
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

-- Tells every node. It is part of the change: both happen or none.
local function tell(id)
	redis.call('PUBLISH', base .. ':changed', id)
end

-- An answer is a word, the time and the records, each with its id before it.
local function found(id, time)
	return { 'ok', text(time), { id, redis.call('HGETALL', record(id)) } }
end
