-- SPDX-License-Identifier: Apache-2.0

local ids = matching(ARGV[1], ARGV[2], ARGV[3], ARGV[4], now())
for _, id in ipairs(ids) do
	remove(id)
end
return { 'ok', #ids }
