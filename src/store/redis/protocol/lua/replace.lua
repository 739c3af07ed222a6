-- Replaces a record that is still at the expected revision. It never creates one.
--
-- KEYS[1] the record   ARGV[1] the expected revision   ARGV[2] the new record   ARGV[3] its life in milliseconds
--
-- Without ARGV[3] the new record has the end of the old one.
--
-- Answers OK, or what is there instead, as GET does.
--
-- Byte 1 of a record is its format. Its own revision follows, eight bytes, and then the last five bytes of each of the two
-- revisions before it, and then the end of its life, six bytes. The highest bit of these says that the session is
-- unconfirmed, as the new record has it. With pcall a reply of -OOM or -READONLY reaches the client as it is, on every version of the server.
-- Numbers are given as text, so that the server need not convert them.
if redis.pcall('GETRANGE', KEYS[1], '1', '8') == ARGV[1] then
  if ARGV[3] then
    return redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  end
  local kept = redis.pcall('GETRANGE', KEYS[1], '19', '24')
  local first, unconfirmed = string.byte(kept) % 128, string.byte(ARGV[2], 20) >= 128
  kept = string.char(unconfirmed and first + 128 or first) .. string.sub(kept, 2)
  local record = string.sub(ARGV[2], 1, 19) .. kept .. string.sub(ARGV[2], 26)
  return redis.pcall('SET', KEYS[1], record, 'KEEPTTL')
end
local found = redis.pcall('GET', KEYS[1])
if type(found) == 'string' then
  -- This write has arrived before: it was sent twice. The first one set the expiry too, and any later write or touch of the
  -- record may have set a newer one, so that there is nothing left to do.
  local own, trace = string.sub(ARGV[2], 2, 9), string.sub(ARGV[2], 5, 9)
  if string.sub(found, 2, 9) == own or string.sub(found, 10, 14) == trace or string.sub(found, 15, 19) == trace then
    return redis.status_reply('OK')
  end
end
return found
