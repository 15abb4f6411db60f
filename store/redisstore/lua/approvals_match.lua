-- SPDX-License-Identifier: Apache-2.0

-- The first arguments are tenant, decider, the number of its roles and the roles.
local tenant, decider, time, rest = ARGV[1], ARGV[2], now(), 4 + ARGV[3]

-- matches returns the actor of an approval that is pending and for which
-- approval.Filter.Matches is true.
local function matches(id)
	local r = redis.call('HMGET', record(id), 'state', 'expires', 'decisions', 'consent', 'subject', 'actor', 'roles')
	if r[1] ~= 'pending' or tonumber(r[2]) <= time or string.find('\n' .. r[3], '\n' .. decider .. ' ', 1, true) then
		return nil
	end
	if r[4] == '1' then
		return r[5] == decider and r[6]
	end
	if r[5] == decider or r[6] == decider then
		return nil
	end
	for n = 4, rest - 1 do
		if string.find(r[7], '\n' .. ARGV[n] .. '\n', 1, true) then
			return r[6]
		end
	end
end
