-- SPDX-License-Identifier: Apache-2.0

local id = ARGV[1]
local r = redis.call('HMGET', record(id), 'revoked', 'tenant', 'owner')
if not r[2] then
	return { 'absent' }
end
local time = now()
if not r[1] then
	redis.call('HSET', record(id), 'revoked', text(time))
	leave('live', r[2], r[3], id)
end
tell(id)
return found(id, time)
