-- SPDX-License-Identifier: Apache-2.0

local id = ARGV[1]
local time = now()
if not find(id, time) then
	return { 'absent' }
end
return found(id, time)
