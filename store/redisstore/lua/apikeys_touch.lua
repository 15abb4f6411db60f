-- SPDX-License-Identifier: Apache-2.0

local id, uses, every = ARGV[1], ARGV[2], tonumber(ARGV[3])
local r = redis.call('HMGET', record(id), 'created', 'last_used')
if not r[1] then
	return { 'absent' }
end
local time = now()
if r[2] and tonumber(r[2]) > time - every then
	return { 'early' }
end
redis.call('HSET', record(id), 'last_used', text(time))
redis.call('HINCRBY', record(id), 'uses', uses)
return { 'ok', text(time) }
