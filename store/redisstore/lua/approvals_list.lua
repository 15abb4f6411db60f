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

-- The actors take turns: first the last created approval of each, then the one before it.
-- Those of one turn are sorted by their creation, the newest first, and then by ID.
local all, same, of, created = {}, {}, {}, nil
local function flush()
	table.sort(same, function(a, b) return a.id < b.id end)
	for _, r in ipairs(same) do
		of[r.actor] = (of[r.actor] or 0) + 1
		r.turn, r.place = of[r.actor], #all
		all[#all + 1] = r
	end
	same = {}
end
-- The last 10,000 of the tenant: more would keep the server from other work.
local ids = redis.call('ZREVRANGE', pending(tenant), 0, 9999, 'WITHSCORES')
for n = 1, #ids, 2 do
	if ids[n + 1] ~= created then
		flush()
		created = ids[n + 1]
	end
	local r = redis.call('HMGET', record(ids[n]), 'state', 'expires', 'decisions', 'consent', 'subject', 'actor', 'roles')
	if r[1] and matches(r) then
		same[#same + 1] = { id = ids[n], actor = r[6] }
	end
end
flush()
table.sort(all, function(a, b) return a.turn < b.turn or (a.turn == b.turn and a.place < b.place) end)
for n = 1, math.min(limit, #all) do
	left = left - redis.call('HSTRLEN', record(all[n].id), 'arguments')
	if left < 0 then
		break
	end
	answer[#answer + 1] = { all[n].id, redis.call('HGETALL', record(all[n].id)) }
end
return answer
