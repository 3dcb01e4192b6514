-- uses: lease
-- KEYS: lease, push status  ARGV: lease value, status
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
return redis.call('SET', KEYS[2], ARGV[2])
