-- SPDX-License-Identifier: Apache-2.0

local id = ARGV[1]
local new, old, flat = {}, {}, {}
for i = 2, #ARGV, 2 do -- an optional field is empty if it is not set
	if ARGV[i + 1] ~= '' or i <= 26 then
		new[ARGV[i]] = ARGV[i + 1]
		flat[#flat + 1] = ARGV[i]
		flat[#flat + 1] = ARGV[i + 1]
	end
end
local fields = redis.call('HGETALL', record(id))
for i = 1, #fields, 2 do
	old[fields[i]] = fields[i + 1]
end
local time = now()

if #fields == 0 then
	if full then
		return oom
	end
	redis.call('HSET', record(id), unpack(flat))
	enter('made', new.tenant, new.owner, new.created, id)
	if not new.revoked then
		enter('live', new.tenant, new.owner, new.expires, id)
	end
	ends(id, new.expires)
	local answer = found(id, time)
	sweep(time)
	return answer
end

local newer = tonumber(new.generation) - tonumber(old.generation)
if new.owner ~= old.owner or new.tenant ~= old.tenant or new.environment ~= old.environment then
	return { 'conflict' }
end
if not new.revoked and (old.revoked or (old.suspended and not new.suspended) or newer < 0
	or (newer == 0 and new.current ~= old.current)) then
	return { 'conflict' }
end

local function set(name, value)
	if value then
		redis.call('HSET', record(id), name, value)
	else
		redis.call('HDEL', record(id), name)
	end
end

if newer > 0 then
	for _, name in ipairs({ 'current', 'previous', 'rotated', 'expires', 'grace_ends', 'generation' }) do
		set(name, new[name])
	end
	ends(id, new.expires)
	if not old.revoked then
		enter('live', old.tenant, old.owner, new.expires, id)
	end
end
if new.revoked and not old.revoked then
	set('revoked', new.revoked)
	leave('live', old.tenant, old.owner, id)
end
if new.suspended and not old.suspended then
	set('suspended', new.suspended)
end
for _, name in ipairs({ 'last_used', 'uses' }) do
	if new[name] and tonumber(new[name]) > tonumber(old[name] or -1) then
		set(name, new[name])
	end
end
tell(id)
sweep(time)
return found(id, time)
