-- Makes room on a full server: deletes unconfirmed sessions, the older half of those that one step of a scan finds.
--
-- KEYS[1] a key on the server to make room on: the script neither reads nor writes it   ARGV[1] where the scan continues
-- ARGV[2] the pattern of the store's keys   ARGV[3] how many keys the step looks at
--
-- Answers where the scan continues, and how many sessions were deleted.
--
-- A record begins with its format, 1 to 15. At byte 19 it has the end of its life, whose highest bit says that the session is
-- unconfirmed. A full server lets a script continue to write after a write that needs no memory.
local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3], 'TYPE', 'string')
local unconfirmed = {}
for _, key in ipairs(found[2]) do
  local head = redis.pcall('GETRANGE', key, '0', '24')
  if type(head) == 'string' and #head == 25 then
    local format, ends = string.byte(head, 1), string.sub(head, 20)
    if format >= 1 and format <= 15 and string.byte(ends) >= 128 then
      unconfirmed[#unconfirmed + 1] = { key, ends }
    end
  end
end
table.sort(unconfirmed, function(one, other) return one[2] < other[2] end)
local deleted = 0
for at = 1, math.ceil(#unconfirmed / 2) do
  -- A slot of a cluster may be moving.
  if redis.pcall('DEL', unconfirmed[at][1]) == 1 then
    deleted = deleted + 1
  end
end
return { found[1], deleted }
