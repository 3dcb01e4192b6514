-- uses: lease
-- KEYS: lease, then what to delete  ARGV: lease value
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
return redis.call('UNLINK', unpack(KEYS, 2))
