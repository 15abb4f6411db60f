-- SPDX-License-Identifier: Apache-2.0

local id, current, grace, max, generation = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local r = redis.call('HMGET', record(id), 'expires', 'revoked', 'generation', 'lifetime', 'current', 'tenant', 'owner')
if not r[1] then
	return { 'absent' }
end
local time = now()
local old = tonumber(r[1])
if r[2] or old <= time or (generation ~= '0' and generation ~= r[3]) then
	return { 'conflict' }
end
local expires = text(time + math.min(tonumber(r[4]), max))
redis.call('HSET', record(id), 'previous', r[5], 'grace_ends', text(math.min(old, time + grace)),
	'current', current, 'rotated', text(time), 'expires', expires)
redis.call('HINCRBY', record(id), 'generation', 1)
enter('live', r[6], r[7], expires, id)
ends(id, expires)
tell(id)
return found(id, time)
