-- Leaves the marker that refuses logins of the user that began before it, and then lists the sessions to end.
--
-- KEYS[1] the index   ARGV[1] the session that may still log in, or nothing   ARGV[2] the life of the marker in
-- milliseconds
--
-- Answers the members of the index, as ZRANGE does. bind.lua describes the index.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A full server lets a script continue to write after a write that needs no memory.
local removed = redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if type(removed) == 'table' then
  return removed
end
redis.call('ZADD', KEYS[1], now + ARGV[2], '!')
if ARGV[1] ~= '' then
  redis.call('ZADD', KEYS[1], now + ARGV[2], '!' .. ARGV[1])
end
redis.call('PEXPIREAT', KEYS[1], redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
return redis.call('ZRANGE', KEYS[1], 0, -1)
