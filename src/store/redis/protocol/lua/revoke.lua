-- Leaves the marker under which no login of a user is carried out that began before, and then says which sessions there are to be ended.
--
-- KEYS[1] the index   ARGV[1] the session that may log in all the same, or nothing   ARGV[2] the life of the marker in
-- milliseconds
--
-- Answers the members of the index, as ZRANGE does. What it consists of, bind.lua says.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A full server lets a script go on writing once it has written something that needs no memory.
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
