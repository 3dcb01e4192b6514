-- uses: lease
-- KEYS: lease, subscription, routes of the tenant  ARGV: lease value, route, fields of the record
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
redis.call('HSET', KEYS[2], unpack(ARGV, 3))
redis.call('SADD', KEYS[3], ARGV[2])
return 1
