-- SPDX-License-Identifier: Apache-2.0

local tenant, decider, limit, left = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = now()
local answer = { 'ok', text(time) }

-- matches is approval.Filter.Matches.
local function matches(r)
	if r[1] ~= 'pending' or tonumber(r[2]) <= time or string.find('\n' .. r[3], '\n' .. decider .. ' ', 1, true) then
		return false
	end
	if r[4] == '1' then
		return r[5] == decider
	end
	if r[5] == decider or r[6] == decider then
		return false
	end
	for n = 5, #ARGV do
		if string.find(r[7], '\n' .. ARGV[n] .. '\n', 1, true) then
			return true
		end
	end
	return false
end

-- Newest first; those of one time are sorted by ID.
local offset, same, created = 0, {}, nil
local function flush()
	table.sort(same)
	for _, id in ipairs(same) do
		left = left - redis.call('HSTRLEN', record(id), 'arguments')
		if #answer - 2 < limit and left >= 0 then
			answer[#answer + 1] = { id, redis.call('HGETALL', record(id)) }
		end
	end
	same = {}
end
while #answer - 2 < limit and left >= 0 do
	local ids = redis.call('ZREVRANGE', pending(tenant), offset, offset + 99, 'WITHSCORES')
	if #ids == 0 then
		break
	end
	for n = 1, #ids, 2 do
		if ids[n + 1] ~= created then
			flush()
			created = ids[n + 1]
		end
		local r = redis.call('HMGET', record(ids[n]), 'state', 'expires', 'decisions', 'consent', 'subject', 'actor', 'roles')
		if r[1] and matches(r) then
			same[#same + 1] = ids[n]
		end
	end
	offset = offset + 100
end
flush()
return answer
