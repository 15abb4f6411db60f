-- SPDX-License-Identifier: Apache-2.0

-- Common part of the scripts for budgets.
--
-- KEYS[1] is the prefix of all names. It holds a hash tag, so that all of a tenant is
-- in one slot of a cluster. Below it are
--
-- due: the sorted set of the holds in progress, by their deadline;
-- hold:...: one hash for each hold, which the server removes some time after the end;
-- counter:...: one hash for each counter, with ends, max, spent and held;
-- series:...: the sorted set of the starts of the counters of an account and span;
-- tenant:...: the sorted set of the counters of a tenant, by their end.
--
-- Amounts are text where they are stored. As numbers they are exact up to 2^53, and
-- comparisons subtract, so that no sum exceeds it.

local retention, counters = 3600 * 1000000, 48 * 3600 * 1000000

local function name(kind, ...)
	local parts = { base, kind }
	for _, part in ipairs({ ... }) do
		parts[#parts + 1] = #part .. ':' .. part
	end
	return table.concat(parts, ':')
end

local function expire(key, time)
	redis.call('PEXPIREAT', key, text(math.ceil(time / 1000)))
end

-- Changes what a counter has spent and holds. A counter that is gone, long after its
-- end, is not made again.
local function move(tenant, account, span, starts, spent, held)
	local key = name('counter', tenant, account, span, starts)
	if redis.call('EXISTS', key) == 0 then
		return '0', '0'
	end
	return redis.call('HINCRBY', key, 'spent', spent), redis.call('HINCRBY', key, 'held', held)
end

-- HINCRBY does not know "-0".
local function negative(amount)
	return amount == '0' and '0' or '-' .. amount
end

local function finish(hold, member, state, charged, time)
	redis.call('HSET', hold, 'state', state, 'charged', cjson.encode(charged))
	redis.call('ZREM', base .. ':due', member)
	expire(hold, time + retention)
end

-- Makes up to limit holds expire.
local function sweep(time, limit)
	local members = redis.call('ZRANGEBYSCORE', base .. ':due', '-inf', text(time), 'LIMIT', 0, limit)
	for _, member in ipairs(members) do
		local hold = base .. ':hold:' .. member
		local r = redis.call('HMGET', hold, 'tenant', 'lines')
		local charged = {}
		for i, line in ipairs(cjson.decode(r[2])) do
			charged[i] = line[5]
			move(r[1], line[1], line[2], line[3], line[5], negative(line[4]))
		end
		finish(hold, member, 'expired', charged, time)
	end
	return #members
end

local function due(time)
	return redis.call('ZCOUNT', base .. ':due', '-inf', text(time)) > 0
end

-- Returns what counts for an entry.
local function count(tenant, entry)
	local r
	if entry.since == entry.starts then
		r = redis.call('HMGET', name('counter', tenant, entry.account, entry.span, entry.starts), 'spent', 'held')
		return tonumber(r[1] or 0), tonumber(r[2] or 0)
	end
	local spent, held = 0, 0
	for _, starts in ipairs(redis.call('ZRANGEBYSCORE', name('series', tenant, entry.account, entry.span), entry.since, '+inf')) do
		r = redis.call('HMGET', name('counter', tenant, entry.account, entry.span, starts), 'spent', 'held')
		spent, held = spent + tonumber(r[1] or 0), held + tonumber(r[2] or 0)
	end
	return spent, held
end

-- Reads the entries from the arguments after the first three: tenant, ID and TTL.
local function entries()
	local list = {}
	for i = 4, #ARGV, 10 do
		list[#list + 1] = {
			account = ARGV[i], span = ARGV[i + 1], starts = ARGV[i + 2], next = ARGV[i + 3], ends = ARGV[i + 4],
			since = ARGV[i + 5], max = ARGV[i + 6], limit = ARGV[i + 7], amount = ARGV[i + 8], floor = ARGV[i + 9],
		}
	end
	return list
end

-- Adds amounts to all counters, or to none. Returns the counts, and the index of the
-- entry that does not fit.
local function add(tenant, list, amounts, time)
	local counts = {}
	for i, entry in ipairs(list) do
		local spent, held = count(tenant, entry)
		local amount = tonumber(amounts[i])
		if amount > 0 and amount > tonumber(entry.limit) - spent - held then
			return { text(spent), text(held) }, i - 1
		end
		counts[2 * i - 1], counts[2 * i] = text(spent), text(held + amount)
	end
	for i, entry in ipairs(list) do
		local key = name('counter', tenant, entry.account, entry.span, entry.starts)
		local keep = tonumber(entry.ends) + counters
		if redis.call('HSET', key, 'ends', entry.ends, 'max', entry.max) > 0 then
			redis.call('HSET', key, 'spent', '0')
			expire(key, keep)
			local series, tenants = name('series', tenant, entry.account, entry.span), name('tenant', tenant)
			redis.call('ZADD', series, entry.starts, entry.starts)
			redis.call('ZREMRANGEBYSCORE', series, '-inf', '(' .. text(math.min(time - 2 * counters, tonumber(entry.starts))))
			redis.call('PEXPIREAT', series, text(math.ceil(keep / 1000)))
			redis.call('ZADD', tenants, entry.ends, entry.account .. '\n' .. entry.span .. '\n' .. entry.starts)
			redis.call('ZREMRANGEBYSCORE', tenants, '-inf', text(time))
			expire(tenants, tonumber(redis.call('ZRANGE', tenants, -1, -1, 'WITHSCORES')[2]) + counters)
		end
		redis.call('HINCRBY', key, 'held', amounts[i])
	end
	return counts
end

local function lines(list)
	local packed = {}
	for i, entry in ipairs(list) do
		packed[i] = { entry.account, entry.span, entry.starts, entry.amount, entry.floor }
	end
	return cjson.encode(packed)
end

-- Reports whether a hold has the counters of the entries, and their amounts if
-- amounts is set.
local function same(packed, list, amounts)
	if #packed ~= #list then
		return false
	end
	for i, entry in ipairs(list) do
		local line = packed[i]
		if line[1] ~= entry.account or line[2] ~= entry.span or line[3] ~= entry.starts or amounts and line[4] ~= entry.amount then
			return false
		end
	end
	return true
end

-- An answer is the outcome, whether it is a replay, the entry, the time, the deadline,
-- the counts and what was charged.
local function answer(outcome, replayed, entry, time, deadline, counts, charged)
	return { outcome, replayed, entry, text(time), text(deadline), counts or {}, charged or {} }
end

-- The answer with the state of a hold.
local function state(r, replayed, time)
	local deadline = tonumber(r[3])
	if r[1] == 'held' then
		if deadline <= time then
			return answer('stale', 0, -1, time, 0)
		end
		return answer('held', replayed, 0, time, deadline)
	end
	return answer(r[1], replayed, 0, time, 0, nil, cjson.decode(r[4]))
end
