-- uses: lease
-- KEYS: lease, changes  ARGV: lease value, least ms to keep
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
return redis.call('XTRIM', KEYS[2], 'MINID', ARGV[2])
