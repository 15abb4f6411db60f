-- SPDX-License-Identifier: Apache-2.0

-- The caller sorts the families and applies the limit, to spare the server.
local subject, client, except = ARGV[1], ARGV[2], ARGV[3]
local time = now()
local answer = { 'ok', text(time) }
for _, id in ipairs(redis.call('ZRANGEBYSCORE', indexes(subject, client)[1], '(' .. text(time), '+inf')) do
	local r = redis.call('HGETALL', record(id))
	if #r > 0 and id ~= except and (client == '' or redis.call('HGET', record(id), 'client') == client) then
		answer[#answer + 1] = { id, r }
	end
end
return answer
