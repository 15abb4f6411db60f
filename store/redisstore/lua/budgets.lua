-- SPDX-License-Identifier: Apache-2.0

-- Common part of the scripts for budgets.
--
-- KEYS[1] is the prefix of all names. It holds a hash tag, so that all of a tenant is
-- in one slot of a cluster. Below it are
--
-- due: the sorted set of the holds in progress, by their deadline;
-- hold:...: one list for each hold: state, deadline, and for each counter its name,
--   amount and floor. The state of a settled hold is followed by what it was charged, with
--   spaces between. The server removes it some time after the end;
-- counter:...: one hash for each counter, with ends, max, spent and held;
-- series:...: the sorted set of the starts of the counters of an account and span;
-- tenant:...: the sorted set of the counters of a tenant, by their end.
--
-- The program makes the names: of a hold from tenant and ID, of a series from tenant,
-- account and span, each with its length before it. The name of a counter is that of its
-- series and its start.
--
-- Numbers are exact up to 2^53, also as arguments of commands and as replies, and
-- comparisons subtract, so that no sum exceeds it. What a counter has spent is from 0 to
-- largest.

local retention, largest = 3600 * 1000000, 2 ^ 53 - 1
local call, dues = redis.call, base .. ':due'

-- The counters that this script has read, by their key. flush writes those that have
-- moved.
local counters = {}

-- Returns an integer, and fails if text is none, before a request has changed anything.
local function integer(text)
	local n = tonumber(text)
	if not n or n ~= math.floor(n) or math.abs(n) > largest then
		error({ err = 'ERR malformed number in a budget' })
	end
	return n
end

local function counter(name)
	local key = base .. ':counter:' .. name
	local c = counters[key]
	if not c then
		local r = call('HMGET', key, 'ends', 'max', 'spent', 'held')
		c = { key = key, ends = r[1], max = r[2], spent = integer(r[3] or 0), held = integer(r[4] or 0) }
		counters[key] = c
	end
	return c
end

-- Returns tenant, account, span and start of the name of a counter.
local function parts(name)
	local at, found = 1, {}
	for n = 1, 3 do
		local size, from = string.match(name, '^(%d+):()', at)
		at = from + size
		found[n] = string.sub(name, from, at - 1)
		at = at + 1
	end
	return found[1], found[2], found[3], string.sub(name, at)
end

local function flush()
	for key, c in pairs(counters) do
		if c.moved then
			call('HSET', key, 'spent', text(c.spent), 'held', text(c.held))
		end
	end
end

-- Changes what a counter has spent and holds. A counter that is gone, long after its
-- end, is not made again.
local function move(c, spent, held)
	if c.ends then
		c.spent, c.held, c.moved = math.min(math.max(c.spent + spent, 0), largest), c.held + held, true
	end
end

local removal

-- Takes a hold off the order of deadlines, and has the server remove its record later.
local function leave(hold, member, time)
	removal = removal or text(math.ceil((time + retention) / 1000))
	call('ZREM', dues, member)
	call('PEXPIREAT', hold, removal)
end

local function finish(hold, member, state, time)
	call('LSET', hold, '0', state)
	leave(hold, member, time)
end

local function expire(member, time)
	local hold = base .. ':hold:' .. member
	local h = call('LRANGE', hold, '0', '-1')
	local moves = {}
	for i = 3, #h, 3 do
		moves[#moves + 1] = { counter(h[i]), integer(h[i + 2]), 0 - integer(h[i + 1]) }
	end
	for _, m in ipairs(moves) do
		move(m[1], m[2], m[3])
	end
	finish(hold, member, 'expired', time)
end

-- Makes up to limit holds expire. They are charged their floors. A hold whose record is
-- lost or malformed must not stop all others: what it holds stays in its counters.
local function sweep(time, limit)
	local members = call('ZRANGEBYSCORE', dues, '-inf', time, 'LIMIT', '0', limit)
	for _, member in ipairs(members) do
		if not pcall(expire, member, time) then
			leave(base .. ':hold:' .. member, member, time)
		end
	end
	return #members
end

local function due(time)
	return call('ZCOUNT', dues, '-inf', time) > 0
end

-- An answer is the outcome, whether it is a replay, the entry, the time, the deadline,
-- the counts and what was charged.
local function answer(outcome, replayed, entry, time, deadline, counts, charged)
	return { outcome, replayed, entry, time, deadline, counts or {}, charged or {} }
end

-- The answer with the state of a hold.
local function state(h, replayed, time)
	if h[1] == 'held' then
		local deadline = tonumber(h[2])
		if deadline <= time then
			return answer('stale', 0, -1, time, 0)
		end
		return answer('held', replayed, 0, time, deadline)
	end
	local charged = {}
	if h[1] == 'expired' then
		for i = 5, #h, 3 do
			charged[#charged + 1] = tonumber(h[i])
		end
		return answer('expired', replayed, 0, time, 0, nil, charged)
	end
	for amount in string.gmatch(h[1], '%d+') do
		charged[#charged + 1] = tonumber(amount)
	end
	return answer('settled', replayed, 0, time, 0, nil, charged)
end

-- Executes the requests of a batch one after the other, each as if it were alone. ARGV
-- has the number of its arguments before those of each request. The answer of a request
-- that fails, because its records are malformed, is an error, and has no effect on the
-- others.
local function serve(handle)
	local time, answers = now(), {}
	sweep(time, '16')
	local i, last = 1, #ARGV
	while i < last do
		local next = i + 1 + ARGV[i]
		local ok, r = pcall(handle, i + 1, next - 1, time)
		answers[#answers + 1] = ok and r or { err = type(r) == 'table' and r.err or r }
		i = next
	end
	flush()
	return answers
end
