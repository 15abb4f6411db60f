-- SPDX-License-Identifier: Apache-2.0

local tenant, id = ARGV[1], ARGV[2]
local time = now()
sweep(time, '16')
local member = #tenant .. ':' .. tenant .. ':' .. #id .. ':' .. id
local hold = base .. ':hold:' .. member
local h = call('LRANGE', hold, '0', '-1')
if not h[1] then
	return answer('absent', 0, 0, time, 0)
end
if not same(h) then
	return answer('differs', 0, 0, time, 0)
end
if h[1] ~= 'held' or tonumber(h[2]) <= time then
	return state(h, 0, time)
end
local counts, short = add(tenant, h, time)
if short then
	return answer(due(time) and 'stale' or 'exceeded', 0, short, time, 0, counts)
end
local deadline = time + ARGV[3]
call('DEL', hold)
record(hold, member, deadline)
return answer('held', 0, 0, time, deadline, counts)
