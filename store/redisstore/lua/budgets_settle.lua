-- SPDX-License-Identifier: Apache-2.0

-- A request is tenant, ID and the amounts.
return serve(function(first, last, time)
	local tenant, id = ARGV[first], ARGV[first + 1]
	local member = #tenant .. ':' .. tenant .. ':' .. #id .. ':' .. id
	local hold = base .. ':hold:' .. member
	local h = call('LRANGE', hold, '0', '-1')
	if not h[1] then
		return answer('absent', 0, 0, time, 0)
	end
	if #h ~= 3 + 5 * (last - first - 1) then
		return answer('differs', 0, 0, time, 0)
	end
	if h[1] ~= 'held' and h[1] ~= 'expired' then
		return state(h, 1, time)
	end
	local counts, charged, n = {}, {}, 0
	for i = first + 2, last do
		n = n + 1
		local spent, held = tonumber(ARGV[i]), 0 - h[5 * n + 2]
		charged[n] = spent
		if h[1] == 'expired' then
			spent, held = spent - h[5 * n + 3], 0
		end
		local c = counter(tenant, h[5 * n - 1], h[5 * n], h[5 * n + 1])
		move(c, spent, held)
		counts[2 * n - 1], counts[2 * n] = c.spent, c.held
	end
	finish(hold, member, 'settled ' .. table.concat(ARGV, ' ', first + 2, last), time)
	return answer('settled', 0, 0, time, 0, counts, charged)
end)
