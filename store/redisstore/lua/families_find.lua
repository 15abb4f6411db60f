-- SPDX-License-Identifier: Apache-2.0

local answer = found(ARGV[1], now())
if #answer[3][2] == 0 then
	return { 'absent' }
end
return answer
