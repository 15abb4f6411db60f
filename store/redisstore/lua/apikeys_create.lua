-- SPDX-License-Identifier: Apache-2.0

local id, owner, tenant = ARGV[1], ARGV[2], ARGV[3]
if redis.call('EXISTS', record(id)) == 1 then
	return { 'taken' }
end
local time = now()
local expires = text(time + tonumber(ARGV[8]))
redis.call('HSET', record(id), 'owner', owner, 'tenant', tenant, 'environment', ARGV[4], 'scopes', ARGV[5],
	'networks', ARGV[6], 'metadata', ARGV[7], 'lifetime', ARGV[8], 'current', ARGV[9],
	'created', text(time), 'rotated', text(time), 'expires', expires, 'generation', '1', 'uses', '0')
enter('made', tenant, owner, text(time), id)
enter('live', tenant, owner, expires, id)
ends(id, expires)
sweep(time)
return found(id, time)
