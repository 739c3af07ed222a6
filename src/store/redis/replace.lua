-- Replaces a record that is still at the expected revision. It never creates one.
--
-- KEYS[1] the record   ARGV[1] the expected revision   ARGV[2] the new record   ARGV[3] its life in milliseconds
--
-- Answers OK, or what is there instead: { GET's reply, PTTL's reply }.
--
-- Byte 1 of a record is its format; its own revision and the two before it follow, eight bytes each.
-- pcall, so that a reply of -OOM or -READONLY reaches the client as it is, on every version of the server.
local revisions = redis.pcall('GETRANGE', KEYS[1], 1, 24)
if type(revisions) == 'string' then
  if string.sub(revisions, 1, 8) == ARGV[1] then
    return redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  end
  -- This write has arrived before: somebody sent it twice. The first time set the expiry too, and whoever wrote or
  -- touched the record since has set a newer one, so that there is nothing left to do.
  local own = string.sub(ARGV[2], 2, 9)
  for at = 1, 17, 8 do
    if string.sub(revisions, at, at + 7) == own then
      return redis.status_reply('OK')
    end
  end
end
return { redis.pcall('GET', KEYS[1]), redis.pcall('PTTL', KEYS[1]) }
