-- SPDX-License-Identifier: Apache-2.0

local subject, client, except, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local both = indexes(subject, client)
local name = both[1]
if subject == '' then
	name = both[2]
end
local time = now()
redis.call('ZREMRANGEBYSCORE', name, '-inf', text(time))
local answer = { 'ok', text(time) }
local offset = 0
while #answer - 2 < limit do
	local ids = redis.call('ZRANGE', name, offset, offset + limit - 1)
	if #ids == 0 then
		break
	end
	for _, id in ipairs(ids) do
		local r = redis.call('HMGET', record(id), 'subject', 'client')
		if not r[1] then
			redis.call('ZREM', name, id)
		elseif #answer - 2 == limit or id == except or client ~= '' and r[2] ~= client then
			offset = offset + 1
		else
			revoke(id, time, r[1], r[2])
			answer[#answer + 1] = { id, redis.call('HGETALL', record(id)) }
		end
	end
end
return answer
