-- SPDX-License-Identifier: Apache-2.0

local tenant, id, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = now()
local list = entries()
sweep(time, 16)
local hold = name('hold', tenant, id)
local r = redis.call('HMGET', hold, 'state', 'lines', 'due', 'charged')
if not r[1] then
	return answer('absent', 0, 0, time, 0)
end
local known = cjson.decode(r[2])
if not same(known, list) then
	return answer('differs', 0, 0, time, 0)
end
if r[1] ~= 'held' or tonumber(r[3]) <= time then
	return state(r, 0, time)
end
local more = {}
for i, entry in ipairs(list) do
	more[i] = text(tonumber(entry.amount) - tonumber(known[i][4]))
end
local counts, short = add(tenant, list, more, time)
if short then
	return answer(due(time) and 'stale' or 'exceeded', 0, short, time, 0, counts)
end
redis.call('HSET', hold, 'due', text(time + ttl), 'lines', lines(list))
redis.call('ZADD', base .. ':due', text(time + ttl), #tenant .. ':' .. tenant .. ':' .. #id .. ':' .. id)
return answer('held', 0, 0, time, time + ttl, counts)
