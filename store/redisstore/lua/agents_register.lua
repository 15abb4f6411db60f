-- SPDX-License-Identifier: Apache-2.0

local id, tenant, details = ARGV[1], ARGV[2], ARGV[3]
local name = base .. ':agent:' .. id
local time = now()
local old = redis.call('HMGET', name, 'tenant', 'details', 'decommissioned')
if not old[1] then
	redis.call('HSET', name, 'tenant', tenant, 'details', details, 'generation', '1', 'created', text(time), 'changed', text(time))
	redis.call('ZADD', base .. ':tenant:' .. tenant, 0, id)
elseif old[1] ~= tenant then
	return { 'conflict' }
elseif old[3] then
	return { 'decommissioned' }
elseif old[2] ~= details then
	redis.call('HSET', name, 'details', details, 'changed', text(time))
	redis.call('HINCRBY', name, 'generation', 1)
end
return { 'ok', text(time), { id, redis.call('HGETALL', name) } }
