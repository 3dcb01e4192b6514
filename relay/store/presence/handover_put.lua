-- Write a part of the handover for the partition's next owner. `lease_acquire.lua` returns its position.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local handover = KEYS[2]  -- hash: tenant -> its handover; '' -> the former owner's fencing token and position
local lease_value = ARGV[1]
local ttl_ms = ARGV[2]
local field = ARGV[3]
local value = ARGV[4]

if not holds_lease() then
  return lease_lost()
end
redis.call('HSET', handover, field, value)
return redis.call('PEXPIRE', handover, ttl_ms)
