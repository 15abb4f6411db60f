-- SPDX-License-Identifier: Apache-2.0

-- The arguments after tenant and ID are the amounts.
local tenant, id = ARGV[1], ARGV[2]
local time = now()
sweep(time, '16')
local member = #tenant .. ':' .. tenant .. ':' .. #id .. ':' .. id
local hold = base .. ':hold:' .. member
local h = call('LRANGE', hold, '0', '-1')
if not h[1] then
	return answer('absent', 0, 0, time, 0)
end
if #h ~= 3 + 5 * (#ARGV - 2) then
	return answer('differs', 0, 0, time, 0)
end
if h[1] ~= 'held' and h[1] ~= 'expired' then
	return state(h, 1, time)
end
local counts, charged, n = {}, {}, 4
for i = 3, #ARGV do
	local spent, held = ARGV[i], 0 - h[n + 3]
	charged[i - 2] = tonumber(spent)
	if h[1] == 'expired' then
		spent, held = spent - h[n + 4], 0
	end
	counts[2 * i - 5], counts[2 * i - 4] = move(counter(tenant, h[n], h[n + 1], h[n + 2]), spent, held)
	n = n + 5
end
finish(hold, member, 'settled ' .. table.concat(ARGV, ' ', 3), time)
return answer('settled', 0, 0, time, 0, counts, charged)
