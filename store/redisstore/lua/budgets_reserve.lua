-- SPDX-License-Identifier: Apache-2.0

local tenant, id, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = now()
local list = entries()
sweep(time, 16)
local hold = name('hold', tenant, id)
local r = redis.call('HMGET', hold, 'state', 'lines', 'due', 'charged')
if r[1] then
	if not same(cjson.decode(r[2]), list, true) then
		return answer('differs', 1, 0, time, 0)
	end
	return state(r, 1, time)
end
local amounts = {}
for i, entry in ipairs(list) do
	if time < tonumber(entry.starts) or time >= tonumber(entry.next) then
		return answer('moved', 0, 0, time, 0)
	end
	amounts[i] = entry.amount
end
local counts, short = add(tenant, list, amounts, time)
if short then
	return answer(due(time) and 'stale' or 'exceeded', 0, short, time, 0, counts)
end
redis.call('HSET', hold, 'tenant', tenant, 'state', 'held', 'due', text(time + ttl), 'lines', lines(list))
redis.call('ZADD', base .. ':due', text(time + ttl), #tenant .. ':' .. tenant .. ':' .. #id .. ':' .. id)
return answer('held', 0, 0, time, time + ttl, counts)
