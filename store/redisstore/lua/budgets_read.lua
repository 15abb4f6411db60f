-- SPDX-License-Identifier: Apache-2.0

-- Returns the time, whether a hold has expired that still counts, and the counters of
-- an account and span from since on, or, without an account, those of a tenant that
-- have not ended, each as account, span, start, end, max, spent and held.
local tenant, account, span, since = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local time = now()
local found = { time, due(time) and 1 or 0 }
local function add(account, span, starts)
	local r = call('HMGET', name(tenant, account, span, starts), 'ends', 'max', 'spent', 'held')
	if r[1] then
		found[#found + 1] = { account, span, starts, r[1], r[2], r[3], r[4] }
	end
end
if account ~= '' then
	for _, starts in ipairs(call('ZRANGEBYSCORE', base .. ':series:' .. #tenant .. ':' .. tenant .. ':' .. #account .. ':' .. account .. ':' .. span, since, '+inf')) do
		add(account, span, starts)
	end
else
	for _, member in ipairs(call('ZRANGEBYSCORE', base .. ':tenant:' .. tenant, '(' .. string.format('%.0f', time), '+inf')) do
		add(string.match(member, '^(.*)\n(.*)\n(.*)$'))
	end
end
return found
