-- SPDX-License-Identifier: Apache-2.0

-- A request is the name of the hold and the amounts.
return serve(function(first, last, time)
	local member = ARGV[first]
	local hold = base .. ':hold:' .. member
	local h = call('LRANGE', hold, '0', '-1')
	if not h[1] then
		return answer('absent', 0, 0, time, 0)
	end
	if #h ~= 2 + 3 * (last - first) then
		return answer('differs', 0, 0, time, 0)
	end
	if h[1] ~= 'held' and h[1] ~= 'expired' then
		return state(h, 1, time)
	end
	local counts, charged = {}, {}
	for n = 1, last - first do
		local spent, held = tonumber(ARGV[first + n]), 0 - h[3 * n + 1]
		charged[n] = spent
		if h[1] == 'expired' then
			spent, held = spent - h[3 * n + 2], 0
		end
		local c = counter(h[3 * n])
		move(c, spent, held)
		counts[2 * n - 1], counts[2 * n] = c.spent, c.held
	end
	finish(hold, member, 'settled ' .. table.concat(ARGV, ' ', first + 1, last), time)
	return answer('settled', 0, 0, time, 0, counts, charged)
end)
