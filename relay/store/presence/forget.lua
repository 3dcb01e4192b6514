-- Delete fields of a hash.
-- uses: lease, layout
local lease = KEYS[1]  -- the partition's lease
local hash = KEYS[2]
local lease_value = ARGV[1]
local first_field = 2  -- ARGV[2...]: the fields

if not holds_lease() then
  return lease_lost()
end
for first = first_field, #ARGV, CHUNK do
  redis.call('HDEL', hash, unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end
return 1
