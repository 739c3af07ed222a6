-- Lets the entry of a session in the index of its user live on, and makes it anew if it is not there.
--
-- KEYS[1] the index   ARGV[1] the session   ARGV[2] the life of the entry from now, in milliseconds
--
-- Answers 1. What the index consists of, bind.lua says.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A full server lets a script go on writing once it has written something that needs no memory. The session itself lives
-- on there too, and must not be missed when all are ended.
local removed = redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if type(removed) == 'table' then
  return removed
end
redis.call('ZADD', KEYS[1], 'GT', now + ARGV[2], ARGV[1])
redis.call('PEXPIREAT', KEYS[1], redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
return 1
