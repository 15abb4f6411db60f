-- SPDX-License-Identifier: Apache-2.0

-- A request is reserve or extend, tenant, ID and TTL, and for each entry account, span,
-- start, next, end, since, max, limit, amount and floor.

local keep = 48 * 3600 * 1000000

local function series(tenant, i)
	return base .. ':series:' .. #tenant .. ':' .. tenant .. ':' .. #ARGV[i] .. ':' .. ARGV[i] .. ':' .. ARGV[i + 1]
end

-- Makes the counter c of an entry, or gives a known one another end or max.
local function make(c, tenant, i, time)
	local known = c.ends
	c.ends, c.max = ARGV[i + 4], ARGV[i + 6]
	call('HSET', c.key, 'ends', c.ends, 'max', c.max)
	if known then
		return
	end
	call('HSET', c.key, 'spent', '0', 'held', '0')
	local expiry = math.ceil((c.ends + keep) / 1000)
	call('PEXPIREAT', c.key, expiry)
	local starts, tenants = series(tenant, i), base .. ':tenant:' .. tenant
	call('ZADD', starts, ARGV[i + 2], ARGV[i + 2])
	call('ZREMRANGEBYSCORE', starts, '-inf', '(' .. text(math.min(time - 2 * keep, tonumber(ARGV[i + 2]))))
	call('PEXPIREAT', starts, expiry)
	call('ZADD', tenants, c.ends, ARGV[i] .. '\n' .. ARGV[i + 1] .. '\n' .. ARGV[i + 2])
	call('ZREMRANGEBYSCORE', tenants, '-inf', time)
	call('PEXPIREAT', tenants, math.ceil((call('ZRANGE', tenants, -1, -1, 'WITHSCORES')[2] + keep) / 1000))
end

-- Adds the amounts of the entries, less those of h if it is a hold, to all counters, or
-- to none. Returns the counts, and the index of the entry that does not fit.
local function add(tenant, first, last, h, time)
	local counts, found, more, n = {}, {}, {}, 0
	for i = first, last, 10 do
		n = n + 1
		local c = counter(tenant, ARGV[i], ARGV[i + 1], ARGV[i + 2])
		local spent, held = c.spent, c.held
		if ARGV[i + 5] ~= ARGV[i + 2] then
			spent, held = 0, 0
			for _, starts in ipairs(call('ZRANGEBYSCORE', series(tenant, i), ARGV[i + 5], '+inf')) do
				local c = counter(tenant, ARGV[i], ARGV[i + 1], starts)
				spent, held = spent + c.spent, held + c.held
			end
		end
		local amount = ARGV[i + 8] - (h and h[5 * n + 2] or 0)
		if amount > 0 and amount > ARGV[i + 7] - spent - held then
			return { spent, held }, n - 1
		end
		found[n], more[n], counts[2 * n - 1], counts[2 * n] = c, amount, spent, held + amount
	end
	for m, c in ipairs(found) do
		local i = first + 10 * m - 10
		if c.ends ~= ARGV[i + 4] or c.max ~= ARGV[i + 6] then
			make(c, tenant, i, time)
		end
		move(c, 0, more[m])
	end
	return counts
end

-- Records a hold.
local function record(hold, member, deadline, tenant, first, last)
	local h, n = { 'held', deadline, tenant }, 3
	for i = first, last, 10 do
		h[n + 1], h[n + 2], h[n + 3], h[n + 4], h[n + 5] = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 8], ARGV[i + 9]
		n = n + 5
	end
	call('RPUSH', hold, unpack(h))
	call('ZADD', dues, deadline, member)
end

-- Reports whether a hold has the counters of the entries, and their amounts if
-- amounts is set.
local function same(h, first, last, amounts)
	if 2 * (#h - 3) ~= last - first + 1 then
		return false
	end
	local n = 4
	for i = first, last, 10 do
		if h[n] ~= ARGV[i] or h[n + 1] ~= ARGV[i + 1] or h[n + 2] ~= ARGV[i + 2] or amounts and h[n + 3] ~= ARGV[i + 8] then
			return false
		end
		n = n + 5
	end
	return true
end

return serve(function(first, last, time)
	local extends, tenant, id, ttl = ARGV[first] == 'extend', ARGV[first + 1], ARGV[first + 2], ARGV[first + 3]
	first = first + 4
	local member = #tenant .. ':' .. tenant .. ':' .. #id .. ':' .. id
	local hold = base .. ':hold:' .. member
	local h = call('LRANGE', hold, '0', '-1')
	local replayed = extends and 0 or 1
	if not h[1] then
		h = nil
	elseif not same(h, first, last, not extends) then
		return answer('differs', replayed, 0, time, 0)
	elseif not extends or h[1] ~= 'held' or tonumber(h[2]) <= time then
		return state(h, replayed, time)
	end
	if extends and not h then
		return answer('absent', 0, 0, time, 0)
	end
	if not extends then
		for i = first, last, 10 do
			if time < tonumber(ARGV[i + 2]) or time >= tonumber(ARGV[i + 3]) then
				return answer('moved', 0, 0, time, 0)
			end
		end
	end
	local counts, short = add(tenant, first, last, h, time)
	if short then
		return answer(due(time) and 'stale' or 'exceeded', 0, short, time, 0, counts)
	end
	if h then
		call('DEL', hold)
	end
	local deadline = time + ttl
	record(hold, member, deadline, tenant, first, last)
	return answer('held', 0, 0, time, deadline, counts)
end)
