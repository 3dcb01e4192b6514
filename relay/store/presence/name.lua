-- Store the resolution of each name as "<expiry> <outcome>", and append names whose outcome changed to `changes`.
-- Returns the entry's id, or false if no outcome changed.
-- uses: lease, append, layout
local lease = KEYS[1]  -- the partition's lease
local directory = KEYS[2]
local changes = KEYS[3]
local changes_head = KEYS[4]
local lease_value = ARGV[1]
local changes_length = ARGV[2]  -- entries that `changes` keeps, about
local tenant_id = ARGV[3]
local first_triple = 4  -- ARGV[4...]: (name, expiry in ms, outcome) triples

if not holds_lease() then
  return lease_lost()
end
local fields, values = {'n', tenant_id}, {}
for i = first_triple, #ARGV, 3 do
  local name, outcome = ARGV[i], ARGV[i + 2]
  local old = redis.call('HGET', directory, name)
  if not old or string.match(old, ' (.*)$') ~= outcome then
    fields[#fields + 1] = name
    fields[#fields + 1] = outcome
  end
  values[#values + 1] = name
  values[#values + 1] = ARGV[i + 1] .. ' ' .. outcome
end
for first = 1, #values, 2 * CHUNK do
  redis.call('HSET', directory, unpack(values, first, math.min(first + 2 * CHUNK - 1, #values)))
end
if #fields == 2 then
  return false
end
return append(changes, changes_head, changes_length, fields)
