-- SPDX-License-Identifier: Apache-2.0

-- Returns the approvals of a list of IDs that still match, without arguments of more than
-- a number of bytes.
local answer, most = { 'ok', text(time) }, tonumber(ARGV[rest])
for n = rest + 1, #ARGV do
	local id = ARGV[n]
	local name, fields = record(id), {}
	if matches(id) then
		if redis.call('HSTRLEN', name, 'arguments') <= most then
			fields = redis.call('HGETALL', name)
		else
			for i, field in ipairs(redis.call('HKEYS', name)) do
				fields[2 * i - 1] = field
				fields[2 * i] = field == 'arguments' and '' or redis.call('HGET', name, field)
			end
		end
		answer[#answer + 1] = { id, fields }
	end
end
return answer
