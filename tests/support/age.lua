-- Takes time off what records say of their end, which they do in the six bytes behind the first nineteen.
--
-- ARGV[1] the pattern of their keys   ARGV[2] how much, in milliseconds
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  if redis.call('TYPE', key).ok == 'string' and redis.call('STRLEN', key) > 60 then
    local ends = 0
    for at = 19, 24 do
      ends = ends * 256 + string.byte(redis.call('GETRANGE', key, at, at))
    end
    ends = ends - ARGV[2]
    for at = 24, 19, -1 do
      redis.call('SETRANGE', key, at, string.char(ends % 256))
      ends = math.floor(ends / 256)
    end
  end
end
