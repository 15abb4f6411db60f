-- SPDX-License-Identifier: Apache-2.0

-- Looks at some approvals of the tenant, the last created first, from a creation on.
-- Returns the next such bound, '' at the end, and ID, actor and creation of those that
-- match. Those of one creation are on one page.
local size = tonumber(ARGV[rest + 1])
local ids = redis.call('ZREVRANGEBYSCORE', pending(tenant), ARGV[rest], '-inf', 'WITHSCORES', 'LIMIT', '0', ARGV[rest + 1])
local answer, seen = { '' }, {}
local function look(id, created)
	local actor = not seen[id] and matches(id)
	seen[id] = true
	if actor then
		local n = #answer
		answer[n + 1], answer[n + 2], answer[n + 3] = id, actor, created
	end
end
for n = 1, #ids, 2 do
	look(ids[n], ids[n + 1])
end
if #ids == 2 * size then
	local last = ids[#ids]
	for _, id in ipairs(redis.call('ZRANGEBYSCORE', pending(tenant), last, last)) do
		look(id, last)
	end
	answer[1] = '(' .. last
end
return answer
