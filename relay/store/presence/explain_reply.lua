-- uses: lease
-- KEYS: lease, list  ARGV: lease value, ms that the list is kept, reply
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
redis.call('RPUSH', KEYS[2], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
