-- SPDX-License-Identifier: Apache-2.0

-- Returns the time, whether a hold has expired that still counts, and the counters of
-- a series from since on, or, if its name is empty, those of a tenant that have not ended,
-- each as account, span, start, end, max, spent and held.
local tenant, series, since = ARGV[1], ARGV[2], ARGV[3]
local time = now()
local found = { time, due(time) and 1 or 0 }
local function add(name)
	local r = call('HMGET', base .. ':counter:' .. name, 'ends', 'max', 'spent', 'held')
	if r[1] then
		local _, account, span, starts = parts(name)
		found[#found + 1] = { account, span, starts, r[1], r[2], r[3], r[4] }
	end
end
if series ~= '' then
	for _, starts in ipairs(call('ZRANGEBYSCORE', base .. ':series:' .. series, since, '+inf')) do
		add(series .. ':' .. starts)
	end
else
	for _, name in ipairs(call('ZRANGEBYSCORE', base .. ':tenant:' .. tenant, '(' .. text(time), '+inf')) do
		add(name)
	end
end
return found
