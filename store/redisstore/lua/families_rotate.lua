-- SPDX-License-Identifier: Apache-2.0

local id, key, secret, presenter, next, successor, grace = unpack(ARGV)
local r = redis.call('HMGET', record(id), 'key', 'subject', 'client', 'expires', 'revoked', 'current', 'previous', 'grace_ends')
if not r[1] or r[1] ~= key then
	return { 'absent' }
end
local time = now()
local subject, client, expires, current = r[2], r[3], tonumber(r[4]), r[6]
local outcome
if r[5] then
	outcome = 'revoked'
elseif expires <= time then
	outcome = 'expired'
elseif client == presenter and current == secret then
	outcome = 'rotated'
	redis.call('HSET', record(id), 'previous', current, 'current', next, 'rotated', text(time),
		'grace_ends', text(math.min(expires, time + tonumber(grace))))
	redis.call('HINCRBY', record(id), 'generation', 1)
	if successor == '' then
		redis.call('HDEL', record(id), 'successor')
	else
		redis.call('HSET', record(id), 'successor', successor)
	end
elseif client == presenter and r[7] == secret and tonumber(r[8]) > time then
	outcome = 'replayed'
else
	outcome = 'reused'
	revoke(id, time, subject, client)
end
redis.call('HSET', record(id), 'outcome', outcome)
return found(id, time)
