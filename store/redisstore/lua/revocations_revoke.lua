-- SPDX-License-Identifier: Apache-2.0

-- KEYS[1] is the name under which it is revoked. Its value is the time of that,
-- in microseconds since 1970, and it goes when that need not be known any more.
local t = redis.call('TIME')
local time = math.max(t[1] * 1000000 + t[2], tonumber(redis.call('GET', KEYS[1]) or 0))
-- Redis ends keys by the millisecond: one more, so that none ends before its time.
local lifetime = math.max(math.ceil(tonumber(ARGV[1]) / 1000) + 1, redis.call('PTTL', KEYS[1]))
redis.call('SET', KEYS[1], string.format('%.0f', time), 'PX', string.format('%.0f', lifetime))
return { 'ok' }
