-- uses: lease, append, layout
-- KEYS: lease, directory, changes, head  ARGV: lease value, maxlen, tenant, then (name, expiry in ms, outcome) triples
-- Stores what each name stands for as "<expiry> <outcome>"; only names whose outcome differs go into `changes`.
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
local fields, values = {'n', ARGV[3]}, {}
for i = 4, #ARGV, 3 do
  local name, outcome = ARGV[i], ARGV[i + 2]
  local old = redis.call('HGET', KEYS[2], name)
  if not old or string.match(old, ' (.*)$') ~= outcome then
    fields[#fields + 1] = name
    fields[#fields + 1] = outcome
  end
  values[#values + 1] = name
  values[#values + 1] = ARGV[i + 1] .. ' ' .. outcome
end
for first = 1, #values, 2 * CHUNK do
  redis.call('HSET', KEYS[2], unpack(values, first, math.min(first + 2 * CHUNK - 1, #values)))
end
if #fields == 2 then
  return false
end
return append(KEYS[3], KEYS[4], ARGV[2], fields)
