-- SPDX-License-Identifier: Apache-2.0

local id = ARGV[1]
local r = redis.call('HMGET', record(id), 'expires', 'revoked')
if not r[1] then
	return { 'absent' }
end
local time = now()
if not r[2] and tonumber(r[1]) > time then
	return { 'conflict' }
end
remove(id)
return { 'ok', text(time) }
