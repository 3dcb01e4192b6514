-- Release a lease; do nothing if it is already lost.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local lease_value = ARGV[1]

if holds_lease() then
  redis.call('DEL', lease)
end
return 1
