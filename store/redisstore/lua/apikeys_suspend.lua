-- SPDX-License-Identifier: Apache-2.0

local id, on = ARGV[1], ARGV[2] == '1'
if redis.call('EXISTS', record(id)) == 0 then
	return { 'absent' }
end
local time = now()
if on then
	redis.call('HSETNX', record(id), 'suspended', text(time))
else
	redis.call('HDEL', record(id), 'suspended')
end
tell(id)
return found(id, time)
