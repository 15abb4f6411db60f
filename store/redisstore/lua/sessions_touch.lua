-- SPDX-License-Identifier: Apache-2.0

local id, every = ARGV[1], tonumber(ARGV[2])
local time = now()
local r = find(id, time)
if not r then
	return { 'absent' }
end
if tonumber(r.seen) > time - every then
	return { 'early' }
end
redis.call('HSET', record(id), 'last_seen', text(time))
expire(record(id), ends(r.expires, time, r.idle))
return { 'ok' }
