-- Extends the life of a session's entry in the index of its user, and makes the entry if there is none.
--
-- KEYS[1] the index   ARGV[1] the session   ARGV[2] the life of the entry from now, in milliseconds
--
-- Answers 1. bind.lua describes the index.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A full server lets a script continue to write after a write that needs no memory. The session itself lives on there too,
-- and must not be missed when all sessions are ended.
local removed = redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if type(removed) == 'table' then
  return removed
end
redis.call('ZADD', KEYS[1], 'GT', now + ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.ceil(last)))
return 1
