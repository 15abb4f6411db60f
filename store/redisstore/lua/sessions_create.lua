-- SPDX-License-Identifier: Apache-2.0

local id, lifetime = ARGV[1], tonumber(ARGV[7])
local time = now()
if find(id, time) then
	return { 'conflict' }
end
remove(id)
local r = { issuer = ARGV[2], subject = ARGV[3], sid = ARGV[4], idle = ARGV[6], expires = text(time + lifetime) }
redis.call('HSET', record(id), 'issuer', r.issuer, 'subject', r.subject, 'sid', r.sid, 'label', ARGV[5], 'idle', r.idle,
	'principal', ARGV[8], 'tokens', ARGV[9], 'created', text(time), 'last_seen', text(time), 'expires', r.expires, 'version', '1')
enter(id, r, time)
local answer = found(id, time)
expire(record(id), ends(r.expires, time, r.idle))
return answer
