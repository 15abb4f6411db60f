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
	local moves, counts, charged = {}, {}, {}
	for n = 1, last - first do
		local spent, held = integer(ARGV[first + n]), 0 - integer(h[3 * n + 1])
		charged[n] = spent
		if h[1] == 'expired' then
			spent, held = spent - integer(h[3 * n + 2]), 0
		end
		moves[n] = { counter(h[3 * n]), spent, held }
	end
	for n, m in ipairs(moves) do
		move(m[1], m[2], m[3])
		counts[2 * n - 1], counts[2 * n] = m[1].spent, m[1].held
	end
	finish(hold, member, 'settled ' .. table.concat(ARGV, ' ', first + 1, last), time)
	return answer('settled', 0, 0, time, 0, counts, charged)
end)
