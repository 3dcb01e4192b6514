-- Delete the record of a subscription.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local subscription = KEYS[2]
local routes = KEYS[3]  -- those of the tenant's subscriptions
local lease_value = ARGV[1]
local route = ARGV[2]

if not holds_lease() then
  return lease_lost()
end
redis.call('SREM', routes, route)
return redis.call('UNLINK', subscription)
