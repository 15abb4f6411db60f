-- SPDX-License-Identifier: Apache-2.0

-- Returns the time, whether a hold has expired that still counts, and the counters of
-- an account and span from since on, or, without an account, those of a tenant that
-- have not ended, each as account, span, start, end, max, spent and held.
local tenant, account, span, since = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local time = now()
local found = { text(time), due(time) and 1 or 0 }
local function counter(account, span, starts)
	local r = redis.call('HMGET', name('counter', tenant, account, span, starts), 'ends', 'max', 'spent', 'held')
	if r[1] then
		found[#found + 1] = { account, span, starts, r[1], r[2], r[3], r[4] }
	end
end
if account ~= '' then
	for _, starts in ipairs(redis.call('ZRANGEBYSCORE', name('series', tenant, account, span), since, '+inf')) do
		counter(account, span, starts)
	end
else
	for _, member in ipairs(redis.call('ZRANGEBYSCORE', name('tenant', tenant), '(' .. text(time), '+inf')) do
		counter(string.match(member, '^(.*)\n(.*)\n(.*)$'))
	end
end
return found
