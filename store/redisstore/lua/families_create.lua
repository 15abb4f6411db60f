-- SPDX-License-Identifier: Apache-2.0

local id, subject, client = ARGV[1], ARGV[2], ARGV[3]
if redis.call('EXISTS', record(id)) == 1 then
	return { 'taken' }
end
local time = now()
local expires = time + tonumber(ARGV[7])
redis.call('HSET', record(id), 'subject', subject, 'client', client, 'tenant', ARGV[4], 'scopes', ARGV[5],
	'metadata', ARGV[6], 'created', text(time), 'expires', text(expires), 'generation', '1', 'outcome', '',
	'key', ARGV[8], 'current', ARGV[9])
if ARGV[10] ~= '' then
	redis.call('HSET', record(id), 'auth_time', ARGV[10])
end
expire(record(id), expires)
for _, name in ipairs(indexes(subject, client)) do
	-- Remove expired families, so that the set stays small.
	redis.call('ZREMRANGEBYSCORE', name, '-inf', text(time))
	redis.call('ZADD', name, text(expires), id)
	expire(name, tonumber(redis.call('ZRANGE', name, -1, -1, 'WITHSCORES')[2]))
end
return found(id, time)
