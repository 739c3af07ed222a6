-- Puts a tombstone in the place of a record on a server that is full. It never creates a key.
--
-- KEYS[1] the record   ARGV[1] the tombstone   ARGV[2] its life in milliseconds
--
-- A full server lets a script continue to write after a write that needs no memory.
if redis.pcall('PEXPIRE', KEYS[1], ARGV[2]) == 1 then
  return redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return redis.status_reply('OK')
