-- uses: lease
-- KEYS: lease, routes of the tenant, then what else to delete  ARGV: lease value, prefix of the subscriptions' keys
-- The names of the subscriptions' keys follow from the routes and share their slot.
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
for _, route in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  redis.call('UNLINK', ARGV[2] .. route)
end
return redis.call('UNLINK', unpack(KEYS, 2))
