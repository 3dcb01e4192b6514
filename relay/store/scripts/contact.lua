-- uses: lease, append
-- KEYS: lease, changes, head, then the contact hash of each tenant
-- ARGV: lease value, maxlen, expiry in ms, then (tenant, "<contact ms> <interval ms> <status> <beat ms>") pairs in the order of the keys
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
local fields = {'c', ''}
for i = 4, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
for n = 4, #KEYS do
  redis.call('SET', KEYS[n], ARGV[2 * n - 3], 'PX', ARGV[3])
end
return append(KEYS[2], KEYS[3], ARGV[2], fields)
