-- Moves the expiry of a record that is still at the expected revision, and nothing else.
--
-- KEYS[1] the record   ARGV[1] the expected revision   ARGV[2] the end of its life   ARGV[3] its life from now, in milliseconds
--
-- Answers 1 if the expiry was moved, 0 if the record is not there or at another revision.
--
-- The revision stands at byte 1, and the end of the record's life at byte 19. Numbers are given as text, so that the server
-- need not convert them.
local revision = redis.pcall('GETRANGE', KEYS[1], '1', '8')
if revision == ARGV[1] then
  -- A full server lets a script continue to write after a write that needs no memory.
  local moved = redis.pcall('PEXPIRE', KEYS[1], ARGV[3])
  if moved ~= 1 then
    return moved
  end
  local noted = redis.pcall('SETRANGE', KEYS[1], '19', ARGV[2])
  return type(noted) == 'table' and noted or 1
end
if type(revision) == 'table' and string.sub(revision.err, 1, 9) ~= 'WRONGTYPE' then
  return revision
end
return 0
