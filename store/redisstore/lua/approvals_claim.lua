-- SPDX-License-Identifier: Apache-2.0

local digest, tenant = ARGV[1], ARGV[2]
local id = redis.call('GET', last(digest))
if not id or not of(id, tenant) then
	return { 'absent' }
end
local time = now()
local r = redis.call('HMGET', record(id), 'state', 'expires')
if r[1] ~= 'approved' or tonumber(r[2]) <= time then
	return { 'absent' }
end
redis.call('HSET', record(id), 'state', 'used', 'used', text(time))
return found(id, time)
