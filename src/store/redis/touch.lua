-- Moves the expiry of a record that is still at the expected revision, and nothing else.
--
-- KEYS[1] the record   ARGV[1] the expected revision   ARGV[2] its life from now, in milliseconds
--
-- Answers 1 if the expiry was moved, 0 if the record is not there or at another revision.
local revision = redis.pcall('GETRANGE', KEYS[1], 1, 8)
if revision == ARGV[1] then
  return redis.pcall('PEXPIRE', KEYS[1], ARGV[2])
end
if type(revision) == 'table' and string.sub(revision.err, 1, 9) ~= 'WRONGTYPE' then
  return revision
end
return 0
