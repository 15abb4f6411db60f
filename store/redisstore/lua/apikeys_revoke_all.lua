-- SPDX-License-Identifier: Apache-2.0

local live, limit = index('live', ARGV[1], ARGV[2], ARGV[3]), tonumber(ARGV[4])
local time = now()
local answer = { 'ok', text(time) }
while #answer - 2 < limit do
	local ids = redis.call('ZRANGE', live, 0, limit - (#answer - 2) - 1)
	if #ids == 0 then
		break
	end
	for _, id in ipairs(ids) do
		redis.call('ZREM', live, id)
		local r = redis.call('HMGET', record(id), 'tenant', 'owner')
		if r[1] then
			redis.call('HSET', record(id), 'revoked', text(time))
			leave('live', r[1], r[2], id)
			tell(id)
			answer[#answer + 1] = { id, redis.call('HGETALL', record(id)) }
		end
	end
end
answer[1] = status
return answer
