-- SPDX-License-Identifier: Apache-2.0

-- A request is reserve or extend, the name of the hold and TTL, and for each entry the name
-- of its series, start, next, end, since, max, limit, amount and floor.

local keep = 48 * 3600 * 1000000

-- Makes the counter c of an entry, or gives a known one another end or max.
local function make(c, name, i, time)
	local known = c.ends
	c.ends, c.max = ARGV[i + 3], ARGV[i + 5]
	call('HSET', c.key, 'ends', c.ends, 'max', c.max)
	if known then
		return
	end
	local expiry = math.ceil((c.ends + keep) / 1000)
	call('PEXPIREAT', c.key, expiry)
	local starts, tenants = base .. ':series:' .. ARGV[i], base .. ':tenant:' .. parts(name)
	call('ZADD', starts, ARGV[i + 1], ARGV[i + 1])
	call('ZREMRANGEBYSCORE', starts, '-inf', '(' .. text(math.min(time - 2 * keep, tonumber(ARGV[i + 1]))))
	call('PEXPIREAT', starts, expiry)
	call('ZADD', tenants, c.ends, name)
	call('ZREMRANGEBYSCORE', tenants, '-inf', time)
	call('PEXPIREAT', tenants, math.ceil(((call('ZRANGE', tenants, -1, -1, 'WITHSCORES')[2] or c.ends) + keep) / 1000))
end

-- Adds the amounts of the entries, less those of h if it is a hold, to all counters, or
-- to none. Returns the counts, and the index of the entry that does not fit.
local function add(first, last, h, time)
	local counts, found, names, more, n = {}, {}, {}, {}, 0
	for i = first, last, 9 do
		n = n + 1
		names[n] = ARGV[i] .. ':' .. ARGV[i + 1]
		local c = counter(names[n])
		local spent, held = c.spent, c.held
		if ARGV[i + 4] ~= ARGV[i + 1] then
			spent, held = 0, 0
			for _, starts in ipairs(call('ZRANGEBYSCORE', base .. ':series:' .. ARGV[i], ARGV[i + 4], '+inf')) do
				local c = counter(ARGV[i] .. ':' .. starts)
				spent, held = spent + c.spent, held + c.held
			end
		end
		local amount = ARGV[i + 7] - (h and integer(h[3 * n + 1]) or 0)
		if amount > 0 and amount > ARGV[i + 6] - spent - held then
			return { spent, held }, n - 1
		end
		found[n], more[n], counts[2 * n - 1], counts[2 * n] = c, amount, spent, held + amount
	end
	for m, c in ipairs(found) do
		local i = first + 9 * m - 9
		if c.ends ~= ARGV[i + 3] or c.max ~= ARGV[i + 5] then
			make(c, names[m], i, time)
		end
	end
	for m, c in ipairs(found) do
		move(c, 0, more[m])
	end
	return counts
end

-- Records a hold.
local function record(hold, member, deadline, first, last)
	local h, n = { 'held', deadline }, 2
	for i = first, last, 9 do
		h[n + 1], h[n + 2], h[n + 3] = ARGV[i] .. ':' .. ARGV[i + 1], ARGV[i + 7], ARGV[i + 8]
		n = n + 3
	end
	call('RPUSH', hold, unpack(h))
	call('ZADD', dues, deadline, member)
end

-- Reports whether a hold has the counters of the entries, and their amounts if
-- amounts is set.
local function same(h, first, last, amounts)
	if 3 * (#h - 2) ~= last - first + 1 then
		return false
	end
	local n = 3
	for i = first, last, 9 do
		if h[n] ~= ARGV[i] .. ':' .. ARGV[i + 1] or amounts and h[n + 1] ~= ARGV[i + 7] then
			return false
		end
		n = n + 3
	end
	return true
end

return serve(function(first, last, time)
	local extends, member, ttl = ARGV[first] == 'extend', ARGV[first + 1], ARGV[first + 2]
	first = first + 3
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
		for i = first, last, 9 do
			if time < tonumber(ARGV[i + 1]) or time >= tonumber(ARGV[i + 2]) then
				return answer('moved', 0, 0, time, 0)
			end
		end
	end
	local counts, short = add(first, last, h, time)
	if short then
		return answer(due(time) and 'stale' or 'exceeded', 0, short, time, 0, counts)
	end
	if h then
		call('DEL', hold)
	end
	local deadline = time + ttl
	record(hold, member, text(deadline), first, last)
	return answer('held', 0, 0, time, deadline, counts)
end)
