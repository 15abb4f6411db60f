-- SPDX-License-Identifier: Apache-2.0

local within, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
local after, afterid = tonumber(ARGV[6]), ARGV[7]
local time = now()
local name, first, last = index('made', ARGV[1], ARGV[2], ARGV[3]), after, math.huge
if within > 0 then
	name, first, last = index('live', ARGV[1], ARGV[2], ARGV[3]), math.max(after, time + 1), time + within
end

-- Redis sorts members of the same score by their bytes. Lua compares strings by
-- the collation of the server's locale.
local function behind(id)
	for i = 1, math.min(#id, #afterid) do
		local a, b = id:byte(i), afterid:byte(i)
		if a ~= b then
			return a > b
		end
	end
	return #id > #afterid
end

local answer = { 'ok', text(time) }
local offset = redis.call('ZCOUNT', name, '-inf', '(' .. text(first))
while #answer - 2 < limit do
	local page = redis.call('ZRANGE', name, offset, offset + limit - 1, 'WITHSCORES')
	if #page == 0 then
		return answer
	end
	for i = 1, #page, 2 do
		local id, score = page[i], tonumber(page[i + 1])
		if score > last or #answer - 2 == limit then
			return answer
		end
		if score ~= after or behind(id) then
			local r = redis.call('HGETALL', record(id))
			if #r > 0 then
				answer[#answer + 1] = { id, r }
			end
		end
	end
	offset = offset + limit
end
return answer
