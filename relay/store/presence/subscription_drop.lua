-- uses: lease
-- KEYS: lease, subscription, routes of the tenant  ARGV: lease value, route
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
redis.call('SREM', KEYS[3], ARGV[2])
return redis.call('UNLINK', KEYS[2])
