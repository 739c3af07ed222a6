-- Replaces a record that is still at the expected revision. It never creates one.
--
-- KEYS[1] the record   ARGV[1] the expected revision   ARGV[2] the new record   ARGV[3] its life in milliseconds
--
-- Answers OK, or what is there instead, as GET does.
--
-- Byte 1 of a record is its format; its own revision follows, eight bytes, and the last five of each of the two before it.
-- pcall, so that a reply of -OOM or -READONLY reaches the client as it is, on every version of the server.
-- Numbers are given as text, which the server need not make of them first.
if redis.pcall('GETRANGE', KEYS[1], '1', '8') == ARGV[1] then
  return redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
local found = redis.pcall('GET', KEYS[1])
if type(found) == 'string' then
  -- This write has arrived before: somebody sent it twice. The first time set the expiry too, and whoever wrote or
  -- touched the record since has set a newer one, so that there is nothing left to do.
  local own, trace = string.sub(ARGV[2], 2, 9), string.sub(ARGV[2], 5, 9)
  if string.sub(found, 2, 9) == own or string.sub(found, 10, 14) == trace or string.sub(found, 15, 19) == trace then
    return redis.status_reply('OK')
  end
end
return found
