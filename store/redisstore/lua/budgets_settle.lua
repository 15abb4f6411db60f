-- SPDX-License-Identifier: Apache-2.0

-- The arguments after tenant and ID are the amounts.
local tenant, id = ARGV[1], ARGV[2]
local time = now()
sweep(time, 16)
local hold = name('hold', tenant, id)
local r = redis.call('HMGET', hold, 'state', 'lines', 'charged')
if not r[1] then
	return answer('absent', 0, 0, time, 0)
end
local known = cjson.decode(r[2])
if #known ~= #ARGV - 2 then
	return answer('differs', 0, 0, time, 0)
end
if r[1] == 'settled' then
	return answer('settled', 1, 0, time, 0, nil, cjson.decode(r[3]))
end
local before = r[3] and cjson.decode(r[3])
local counts, charged = {}, {}
for i, line in ipairs(known) do
	local spent, held = ARGV[i + 2], negative(line[4])
	charged[i] = spent
	if before then
		spent, held = text(tonumber(spent) - tonumber(before[i])), '0'
	end
	local s, h = move(tenant, line[1], line[2], line[3], spent, held)
	counts[2 * i - 1], counts[2 * i] = text(tonumber(s)), text(tonumber(h))
end
finish(hold, #tenant .. ':' .. tenant .. ':' .. #id .. ':' .. id, 'settled', charged, time)
return answer('settled', 0, 0, time, 0, counts, charged)
