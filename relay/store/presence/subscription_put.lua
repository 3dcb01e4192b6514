-- Store a new or changed subscription.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local subscription = KEYS[2]
local routes = KEYS[3]  -- those of the tenant's subscriptions
local lease_value = ARGV[1]
local route = ARGV[2]
local first_field = 3  -- ARGV[3...]: fields and values of the record

if not holds_lease() then
  return lease_lost()
end
redis.call('HSET', subscription, unpack(ARGV, first_field))
redis.call('SADD', routes, route)
return 1
