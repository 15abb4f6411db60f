-- SPDX-License-Identifier: Apache-2.0

-- What all scripts have in common; it is put before each of them.
--
-- Times are microseconds since 1970, as text: Lua computes with doubles, which
-- are exact up to 2^53, but prints only 14 digits of them.

local base = KEYS[1]

local function now()
	local t = redis.call('TIME')
	return t[1] * 1000000 + t[2]
end

local function text(number)
	return string.format('%.0f', number)
end

