-- SPDX-License-Identifier: Apache-2.0

local id, tenant, digest, actor, again, most, lifetime = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local time = now()
local old = redis.call('GET', last(digest))
if old then
	local r = redis.call('HMGET', record(old), 'state', 'expires')
	local open = r[1] == 'pending' or r[1] == 'approved' or r[1] == 'denied' and again ~= '1'
	if open and tonumber(r[2]) > time then
		local answer = found(old, time)
		answer[1] = 'current'
		return answer
	end
end
local waiting = asking(tenant, actor)
redis.call('ZREMRANGEBYSCORE', waiting, '-inf', text(time))
if redis.call('ZCARD', waiting) >= most then
	return { 'many' }
end
local size = #ARGV[11]
for _, other in ipairs(redis.call('ZRANGE', waiting, 0, -1)) do
	size = size + redis.call('HSTRLEN', record(other), 'arguments')
end
if size > tonumber(ARGV[15]) then
	return { 'many' }
end
if redis.call('EXISTS', record(id)) == 1 then
	return { 'taken' }
end
local expires = time + lifetime
redis.call('HSET', record(id), 'tenant', tenant, 'actor', actor, 'subject', ARGV[8], 'tool', ARGV[9], 'version', ARGV[10],
	'arguments', ARGV[11], 'consent', ARGV[12], 'roles', ARGV[13], 'needed', ARGV[14], 'created', text(time), 'expires', text(expires),
	'state', 'pending', 'approved', '0', 'decisions', '')
expire(record(id), expires + hour)
redis.call('SET', last(digest), id)
expire(last(digest), expires)
redis.call('ZADD', pending(tenant), text(time), id)
redis.call('ZADD', waiting, text(expires), id)
expire(waiting, tonumber(redis.call('ZRANGE', waiting, -1, -1, 'WITHSCORES')[2]))
-- Remove some approvals that have expired, so that the set stays small.
for _, other in ipairs(redis.call('ZRANGE', pending(tenant), 0, 9)) do
	local ends = redis.call('HGET', record(other), 'expires')
	if not ends or tonumber(ends) <= time then
		redis.call('ZREM', pending(tenant), other)
	end
end
-- The set lives as long as the approval that expires last.
local ends = redis.call('PEXPIRETIME', pending(tenant))
if ends < 0 or ends * 1000 < expires then
	expire(pending(tenant), expires)
end
return found(id, time)
