-- SPDX-License-Identifier: Apache-2.0

-- Calls every command of the scripts and changes nothing. KEYS[1] is a name that no
-- record has, ARGV[1] the channel of the API keys or "". Returns the errors, each after
-- its command. The message on the channel is no ID.
local name, channel = KEYS[1], ARGV[1]
local errors = {}
local function try(command, ...)
	local reply = redis.pcall(command, ...)
	if type(reply) == 'table' and reply.err then
		errors[#errors + 1] = { command, reply.err }
	end
end
try('TIME')
try('HSET', name, 'f', '1')
try('HSETNX', name, 'f', '1')
try('HINCRBY', name, 'f', 1)
try('HGET', name, 'f')
try('HMGET', name, 'f')
try('HGETALL', name)
try('HEXISTS', name, 'f')
try('HKEYS', name)
try('HSTRLEN', name, 'f')
if redis.pcall('EXISTS', name) == 1 then
	try('RENAME', name, name)
end
try('HDEL', name, 'f')
try('DEL', name)
if redis.pcall('EXISTS', name) == 0 then
	try('RPUSH', name, '1')
	try('LSET', name, 0, '1')
	try('LRANGE', name, 0, -1)
	redis.pcall('DEL', name)
end
try('SET', name, '1', 'XX', 'PX', 1)
try('GET', name)
try('EXISTS', name)
try('PTTL', name)
try('PEXPIRETIME', name)
try('PEXPIREAT', name, 1)
try('ZADD', name, 'XX', 0, 'm')
try('ZCARD', name)
try('ZCOUNT', name, '-inf', '+inf')
try('ZRANGE', name, 0, 0)
try('ZRANGEBYLEX', name, '-', '+')
try('ZRANGEBYSCORE', name, '-inf', '+inf')
try('ZREVRANGE', name, 0, 0)
try('ZREVRANGEBYSCORE', name, '+inf', '-inf')
try('ZREM', name, 'm')
try('ZREMRANGEBYSCORE', name, '-inf', '+inf')
if channel ~= '' then
	try('PUBLISH', channel, '-')
end
return errors
