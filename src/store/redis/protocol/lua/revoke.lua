-- Leaves the marker that refuses logins of the user that began before it.
--
-- KEYS[1] the index   ARGV[1] the session that may still log in, or nothing   ARGV[2] the life of the marker in
-- milliseconds
--
-- Answers when the marker was left, in microseconds. bind.lua describes the index.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
-- A full server lets a script continue to write after a write that needs no memory.
local removed = redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if type(removed) == 'table' then
  return removed
end
local ends = now + ARGV[2]
redis.call('ZADD', KEYS[1], ends, '!')
if ARGV[1] ~= '' then
  redis.call('ZADD', KEYS[1], ends, '!' .. ARGV[1])
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.ceil(last)))
return tonumber(string.format('%.0f', (ends - ARGV[2]) * 1000))
