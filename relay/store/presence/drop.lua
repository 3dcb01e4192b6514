-- Delete all data of a tenant that left. The keys of its subscriptions are derived from the routes and share their
-- slot.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local routes = KEYS[2]  -- those of the tenant's subscriptions
local first_other = 3  -- KEYS[3...]: what else to delete
local lease_value = ARGV[1]
local subscription_prefix = ARGV[2]  -- of the subscriptions' keys; a route follows

if not holds_lease() then
  return lease_lost()
end
for _, route in ipairs(redis.call('SMEMBERS', routes)) do
  redis.call('UNLINK', subscription_prefix .. route)
end
return redis.call('UNLINK', routes, unpack(KEYS, first_other))
