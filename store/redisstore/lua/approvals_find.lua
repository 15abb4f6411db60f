-- SPDX-License-Identifier: Apache-2.0

local id, tenant = ARGV[1], ARGV[2]
if not of(id, tenant) then
	return { 'absent' }
end
return found(id, now())
