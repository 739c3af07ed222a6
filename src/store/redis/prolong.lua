-- Lets the entry of a session in the index of its user live on, and makes it anew if it is not there.
--
-- KEYS[1] the index   ARGV[1] the session   ARGV[2] the life of the entry from now, in milliseconds
--
-- Answers 1. What the index consists of, bind.lua says.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local added = redis.pcall('ZADD', KEYS[1], 'GT', now + ARGV[2], ARGV[1])
if type(added) == 'table' then
  return added
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('PEXPIREAT', KEYS[1], redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
return 1
