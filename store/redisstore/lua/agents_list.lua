-- SPDX-License-Identifier: Apache-2.0

-- All members have the score 0, so that they are ordered by their bytes.
local tenant, after, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local answer = { 'ok', text(now()) }
local first = after == '' and '-' or '(' .. after
for _, id in ipairs(redis.call('ZRANGEBYLEX', base .. ':tenant:' .. tenant, first, '+', 'LIMIT', 0, limit)) do
	answer[#answer + 1] = { id, redis.call('HGETALL', base .. ':agent:' .. id) }
end
return answer
