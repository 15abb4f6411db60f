-- SPDX-License-Identifier: Apache-2.0

local tenant, id = ARGV[1], ARGV[2]
local name = base .. ':agent:' .. id
local time = now()
if redis.call('HGET', name, 'tenant') ~= tenant then
	return { 'absent' }
end
if redis.call('HEXISTS', name, 'decommissioned') == 0 then
	redis.call('HSET', name, 'decommissioned', text(time), 'changed', text(time))
	redis.call('HINCRBY', name, 'generation', 1)
end
return { 'ok', text(time), { id, redis.call('HGETALL', name) } }
