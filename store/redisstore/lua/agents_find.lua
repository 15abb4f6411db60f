-- SPDX-License-Identifier: Apache-2.0

local record = redis.call('HGETALL', base .. ':agent:' .. ARGV[1])
if #record == 0 then
	return { 'absent' }
end
return { 'ok', text(now()), { ARGV[1], record } }
