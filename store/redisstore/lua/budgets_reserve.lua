-- SPDX-License-Identifier: Apache-2.0

local tenant, id = ARGV[1], ARGV[2]
local time = now()
sweep(time, '16')
local member = #tenant .. ':' .. tenant .. ':' .. #id .. ':' .. id
local hold = base .. ':hold:' .. member
local h = call('LRANGE', hold, '0', '-1')
if h[1] then
	if not same(h, true) then
		return answer('differs', 1, 0, time, 0)
	end
	return state(h, 1, time)
end
for i = 4, #ARGV, 10 do
	if time < tonumber(ARGV[i + 2]) or time >= tonumber(ARGV[i + 3]) then
		return answer('moved', 0, 0, time, 0)
	end
end
local counts, short = add(tenant, nil, time)
if short then
	return answer(due(time) and 'stale' or 'exceeded', 0, short, time, 0, counts)
end
local deadline = time + ARGV[3]
record(hold, member, deadline)
return answer('held', 0, 0, time, deadline, counts)
