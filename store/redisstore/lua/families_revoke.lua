-- SPDX-License-Identifier: Apache-2.0

local id = ARGV[1]
local r = redis.call('HMGET', record(id), 'subject', 'client', 'revoked')
if not r[1] then
	return { 'absent' }
end
local time = now()
if not r[3] then
	revoke(id, time, r[1], r[2])
end
return found(id, time)
