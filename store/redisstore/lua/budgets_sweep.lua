-- SPDX-License-Identifier: Apache-2.0

local swept = sweep(now(), tonumber(ARGV[1]))
flush()
return { swept }
