-- SPDX-License-Identifier: Apache-2.0

-- KEYS[1] is a hash with the revision and the data. ARGV are the revision that it
-- must have, as decimal digits, the next one, and the new data. Text is compared,
-- because Lua computes with doubles.
if (redis.call('HGET', KEYS[1], 'revision') or '0') ~= ARGV[1] then
	return { 'conflict' }
end
-- A token that the service has rotated may be a little longer: without it the access is
-- lost. A new record is refused.
if full and #ARGV[3] > redis.call('HSTRLEN', KEYS[1], 'data') + (ARGV[1] == '0' and 0 or 256) then
	return oom
end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'data', ARGV[3])
return { 'ok' }
