-- SPDX-License-Identifier: Apache-2.0

-- What the scripts below have in common; it is put before each of them.
--
-- KEYS[1] is the prefix of all keys. It contains a hash tag, so that in a cluster
-- all keys are in one slot. A session is a hash that expires with the session, and
-- a member of up to two sorted sets, scored by its absolute timeout: that of its
-- subject and that of its sid. A set expires with the last session in it, and may
-- until then name sessions that do not exist any more.

local function record(id)
	return base .. ':session:' .. id
end

-- The length of the issuer makes the name of each pair unique.
local function index(kind, issuer, name)
	return base .. ':' .. kind .. ':' .. #issuer .. ':' .. issuer .. name
end

local function indexes(r)
	local names = {}
	if r.subject ~= '' then
		names[#names + 1] = index('subject', r.issuer, r.subject)
	end
	if r.sid ~= '' then
		names[#names + 1] = index('sid', r.issuer, r.sid)
	end
	return names
end

local function ends(expires, seen, idle)
	return math.min(tonumber(expires), tonumber(seen) + tonumber(idle))
end

-- Redis expires keys by the millisecond: rounded up, no key expires early.
local function expire(name, time)
	redis.call('PEXPIREAT', name, text(math.ceil(time / 1000)))
end

local function load(id)
	local r = redis.call('HMGET', record(id), 'issuer', 'subject', 'sid', 'last_seen', 'idle', 'expires', 'version')
	if not r[1] then
		return nil
	end
	return { issuer = r[1], subject = r[2], sid = r[3], seen = r[4], idle = r[5], expires = r[6], version = r[7] }
end

-- Returns the session if it is not expired.
local function find(id, time)
	local r = load(id)
	if r and time < ends(r.expires, r.seen, r.idle) then
		return r
	end
	return nil
end

local function enter(id, r, time)
	for _, name in ipairs(indexes(r)) do
		redis.call('ZREMRANGEBYSCORE', name, '-inf', text(time))
		redis.call('ZADD', name, r.expires, id)
		expire(name, tonumber(redis.call('ZRANGE', name, -1, -1, 'WITHSCORES')[2]))
	end
end

local function leave(id, r)
	for _, name in ipairs(indexes(r)) do
		redis.call('ZREM', name, id)
	end
end

-- Removes a session, expired or not.
local function remove(id)
	local r = load(id)
	if r then
		leave(id, r)
		redis.call('DEL', record(id))
	end
end

-- Returns the ids of the sessions that match. Expired sessions, and sessions of
-- another user, are removed from the index.
local function matching(issuer, subject, sid, except, time)
	local name = subject ~= '' and index('subject', issuer, subject) or index('sid', issuer, sid)
	local ids = {}
	for _, id in ipairs(redis.call('ZRANGE', name, 0, -1)) do
		local r = find(id, time)
		if not r or r.issuer ~= issuer or (subject ~= '' and r.subject ~= subject) or (subject == '' and r.sid ~= sid) then
			redis.call('ZREM', name, id)
		elseif (sid == '' or r.sid == sid) and id ~= except then
			ids[#ids + 1] = id
		end
	end
	return ids
end

-- A reply is a word, the time and the records, each after its id.
local function found(id, time)
	return { 'ok', text(time), { id, redis.call('HGETALL', record(id)) } }
end

