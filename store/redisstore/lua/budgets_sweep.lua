-- SPDX-License-Identifier: Apache-2.0

return { sweep(now(), tonumber(ARGV[1])) }
