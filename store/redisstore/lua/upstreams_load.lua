-- SPDX-License-Identifier: Apache-2.0

-- KEYS[1] is a hash with the revision and the data.
local t = redis.call('TIME')
local record = redis.call('HMGET', KEYS[1], 'revision', 'data')
return { string.format('%.0f', t[1] * 1000000 + t[2]), record[1] or '0', record[2] or '' }
