-- Extend a lease. Returns 0 if it is lost.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local lease_value = ARGV[1]
local ttl_ms = ARGV[2]

if not holds_lease() then
  return 0
end
return redis.call('PEXPIRE', lease, ttl_ms)
