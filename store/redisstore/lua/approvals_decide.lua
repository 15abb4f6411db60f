-- SPDX-License-Identifier: Apache-2.0

local id, tenant, decider, decision, approves = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if not of(id, tenant) then
	return { 'absent' }
end
local time = now()
local r = redis.call('HMGET', record(id), 'state', 'expires', 'decisions', 'approved', 'needed', 'actor')
local decided = string.find('\n' .. r[3], '\n' .. decider .. ' ', 1, true)
if r[1] ~= 'pending' or tonumber(r[2]) <= time or decided then
	local answer = found(id, time)
	answer[1] = 'current'
	return answer
end
local state, approved = 'denied', tonumber(r[4])
if approves == '1' then
	approved = approved + 1
	state = 'pending'
	if approved >= tonumber(r[5]) then
		state = 'approved'
	end
end
redis.call('HSET', record(id), 'state', state, 'approved', text(approved),
	'decisions', r[3] .. decider .. ' ' .. decision .. ' ' .. text(time) .. '\n')
if state ~= 'pending' then
	stopWaiting(id, tenant, r[6])
end
return found(id, time)
