-- Give up a lease; one that is lost already is left alone.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local lease_value = ARGV[1]

if holds_lease() then
  redis.call('DEL', lease)
end
return 1
