-- SPDX-License-Identifier: Apache-2.0

-- Common part of the scripts that reserve and extend. Their arguments are tenant, ID and
-- TTL, and for each entry, from its index i on: account, span, start, next, end, since,
-- max, limit, amount and floor.

local keep = 48 * 3600 * 1000000

local function series(tenant, i)
	return base .. ':series:' .. #tenant .. ':' .. tenant .. ':' .. #ARGV[i] .. ':' .. ARGV[i] .. ':' .. ARGV[i + 1]
end

-- Makes the counter of an entry, or gives a known one another end or max.
local function make(key, tenant, i, known, time)
	call('HSET', key, 'ends', ARGV[i + 4], 'max', ARGV[i + 6])
	if known then
		return
	end
	call('HSET', key, 'spent', '0')
	local expiry = math.ceil((ARGV[i + 4] + keep) / 1000)
	call('PEXPIREAT', key, expiry)
	local starts, tenants = series(tenant, i), base .. ':tenant:' .. tenant
	call('ZADD', starts, ARGV[i + 2], ARGV[i + 2])
	call('ZREMRANGEBYSCORE', starts, '-inf', '(' .. string.format('%.0f', math.min(time - 2 * keep, tonumber(ARGV[i + 2]))))
	call('PEXPIREAT', starts, expiry)
	call('ZADD', tenants, ARGV[i + 4], ARGV[i] .. '\n' .. ARGV[i + 1] .. '\n' .. ARGV[i + 2])
	call('ZREMRANGEBYSCORE', tenants, '-inf', time)
	call('PEXPIREAT', tenants, math.ceil((call('ZRANGE', tenants, -1, -1, 'WITHSCORES')[2] + keep) / 1000))
end

-- Adds the amounts of the entries, less those of h if it is a hold, to all counters, or
-- to none. Returns the counts, and the index of the entry that does not fit.
local function add(tenant, h, time)
	local counts, keys, known, n = {}, {}, {}, 0
	for i = 4, #ARGV, 10 do
		n = n + 1
		local key = counter(tenant, ARGV[i], ARGV[i + 1], ARGV[i + 2])
		local r = call('HMGET', key, 'spent', 'held', 'ends', 'max')
		local spent, held = tonumber(r[1] or 0), tonumber(r[2] or 0)
		if ARGV[i + 5] ~= ARGV[i + 2] then
			spent, held = 0, 0
			for _, starts in ipairs(call('ZRANGEBYSCORE', series(tenant, i), ARGV[i + 5], '+inf')) do
				local c = call('HMGET', counter(tenant, ARGV[i], ARGV[i + 1], starts), 'spent', 'held')
				spent, held = spent + (c[1] or 0), held + (c[2] or 0)
			end
		end
		local amount = ARGV[i + 8] - (h and h[5 * n + 2] or 0)
		if amount > 0 and amount > ARGV[i + 7] - spent - held then
			return { spent, held }, n - 1
		end
		keys[n], known[n], counts[2 * n - 1], counts[2 * n] = key, r, spent, held + amount
	end
	for m = 1, n do
		local i, r = 10 * m - 6, known[m]
		if r[3] ~= ARGV[i + 4] or r[4] ~= ARGV[i + 6] then
			make(keys[m], tenant, i, r[1], time)
		end
		call('HINCRBY', keys[m], 'held', h and ARGV[i + 8] - h[5 * m + 2] or ARGV[i + 8])
	end
	return counts
end

-- Records a hold.
local function record(hold, member, deadline)
	local h, n = { 'held', deadline, ARGV[1] }, 3
	for i = 4, #ARGV, 10 do
		h[n + 1], h[n + 2], h[n + 3], h[n + 4], h[n + 5] = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 8], ARGV[i + 9]
		n = n + 5
	end
	call('RPUSH', hold, unpack(h))
	call('ZADD', dues, deadline, member)
end

-- Reports whether a hold has the counters of the entries, and their amounts if
-- amounts is set.
local function same(h, amounts)
	if 2 * (#h - 3) ~= #ARGV - 3 then
		return false
	end
	local n = 4
	for i = 4, #ARGV, 10 do
		if h[n] ~= ARGV[i] or h[n + 1] ~= ARGV[i + 1] or h[n + 2] ~= ARGV[i + 2] or amounts and h[n + 3] ~= ARGV[i + 8] then
			return false
		end
		n = n + 5
	end
	return true
end
