-- Removes entries that lead to no session of the user, except those whose login is under way.
--
-- KEYS[1] the index   ARGV[...] the sessions
--
-- Answers how many were removed. bind.lua describes the index.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local marks = {}
for at, session in ipairs(ARGV) do
  marks[at] = '+' .. session
end
local ends = redis.call('ZMSCORE', KEYS[1], unpack(marks))
local stale = {}
for at, session in ipairs(ARGV) do
  if not ends[at] or tonumber(ends[at]) <= now then
    stale[#stale + 1] = session
  end
end
if #stale == 0 then
  return 0
end
return redis.pcall('ZREM', KEYS[1], unpack(stale))
