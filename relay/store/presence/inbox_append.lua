-- Append hints of one tenant to the inbox of its partition.
-- uses: append, hint
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local tenant_id = ARGV[1]
local most_hints = ARGV[2]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[3]  -- entries that the inbox keeps, about
local first_pair = 4  -- ARGV[4...]: (weight, hint) pairs

for i = first_pair, #ARGV, 2 do
  append_hint(ARGV[i + 1], ARGV[i])
end
return 1
