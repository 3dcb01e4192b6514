-- uses: lease
-- KEYS: lease  ARGV: lease value, ttl in ms
if not holds(KEYS[1], ARGV[1]) then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
