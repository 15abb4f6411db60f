-- SPDX-License-Identifier: Apache-2.0

-- The client sorts the records, which is less work for the server.
local names = { 'issuer', 'subject', 'sid', 'label', 'idle', 'created', 'last_seen', 'expires', 'version', 'claimed' }
local time = now()
local answer = { 'ok', text(time) }
for _, id in ipairs(matching(ARGV[1], ARGV[2], ARGV[3], ARGV[4], time)) do
	local flat = {}
	for i, value in ipairs(redis.call('HMGET', record(id), unpack(names))) do
		if value then
			flat[#flat + 1] = names[i]
			flat[#flat + 1] = value
		end
	end
	answer[#answer + 1] = { id, flat }
end
return answer
