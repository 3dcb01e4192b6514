-- Leave behind what the partition's next owner goes on from. Whoever takes the partition next finds it, see `lease_acquire.lua`.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local handover = KEYS[2]  -- hash: tenant -> what is handed over; '' -> whose handover it is
local lease_value = ARGV[1]
local ttl_ms = ARGV[2]
local field = ARGV[3]
local value = ARGV[4]

if not holds_lease() then
  return lease_lost()
end
redis.call('HSET', handover, field, value)
return redis.call('PEXPIRE', handover, ttl_ms)
