-- Store a tenant's push status.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local push = KEYS[2]
local lease_value = ARGV[1]
local status = ARGV[2]

if not holds_lease() then
  return lease_lost()
end
return redis.call('SET', push, status)
