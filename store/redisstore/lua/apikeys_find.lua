-- SPDX-License-Identifier: Apache-2.0

local id = ARGV[1]
local answer = found(id, now())
if #answer[3][2] == 0 then
	return { 'absent' }
end
return answer
