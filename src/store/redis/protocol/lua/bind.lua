-- Makes the entry of a session in the index of a user, before the session's record is written.
--
-- KEYS[1] the index   ARGV[1] the session   ARGV[2] how long a write may be under way, in milliseconds   ARGV[3] how much of
-- its life a marker may still have if it does not refuse the login, in milliseconds: the younger the login, the more
-- ARGV[4] the whole life of a marker, in milliseconds   ARGV[5] when a marker was left that is known to be older than the login,
-- in microseconds, or nothing   ARGV[6] the life of the entry, in milliseconds
--
-- Answers how many members the index has, or when the marker that refuses the login was left, and how long ago, in
-- microseconds.
--
-- The index is a sorted set, scored by the time at which a member ends. It has the sessions' ids, which contain neither
-- character, and these members:
--   +<id>  this session's login is under way, so that its entry is not removed because there is no record. It tells when the
--          entry was made
--   !      all sessions were ended; logins that began before are refused
--   !<id>  except on this session: it ends with the marker that it belongs to, at the same time
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local marker = redis.call('ZMSCORE', KEYS[1], '!', '!' .. ARGV[1])
local ends = marker[1] and tonumber(marker[1]) or 0
-- A marker that ends later than that was left before the clock was set back, or by a server whose clock was far ahead.
if ends > now + ARGV[3] and ends <= now + 2 * ARGV[2] and marker[1] ~= marker[2] then
  local left = ends - ARGV[4]
  local moment = string.format('%.0f', left * 1000)
  if moment ~= ARGV[5] then
    -- Rounded down: the marker must not seem older than it is.
    return {tonumber(moment), math.max(0, math.floor((now - left) * 1000) - 1)}
  end
end
-- GT: the record that is there until then may live longer than the new one. The command that may be refused comes first.
local added = redis.pcall('ZADD', KEYS[1], 'GT', math.floor(now) + ARGV[6], ARGV[1], now + ARGV[2], '+' .. ARGV[1])
if type(added) == 'table' then
  return added
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.ceil(last)))
return redis.call('ZCARD', KEYS[1])
