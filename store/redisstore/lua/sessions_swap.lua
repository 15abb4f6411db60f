-- SPDX-License-Identifier: Apache-2.0

local id, version, new, principal, tokens, claim = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local time = now()
local r = find(id, time)
if not r then
	return { 'absent' }
end
if r.version ~= version or (new ~= id and find(new, time)) then
	return { 'conflict' }
end
if full then
	-- Tokens that the issuer has rotated, and the record of a session that is renewed, may
	-- be a little longer: without them the session is lost, or the old secret remains.
	local old = redis.call('HMGET', record(id), 'principal', 'tokens', 'claimed')
	local most = #old[1] + #old[2]
	if new ~= id or (old[3] and claim == 0) then
		most = most + 1024
	end
	if #principal + #tokens > most then
		return oom
	end
end
if new ~= id then
	remove(new)
	leave(id, r)
	redis.call('RENAME', record(id), record(new))
	enter(new, r, time)
end
redis.call('HSET', record(new), 'principal', principal, 'tokens', tokens, 'last_seen', text(time))
redis.call('HINCRBY', record(new), 'version', 1)
if claim > 0 then
	redis.call('HSET', record(new), 'claimed', text(time + claim))
else
	redis.call('HDEL', record(new), 'claimed')
end
expire(record(new), ends(r.expires, time, r.idle))
return found(new, time)
