-- uses: lease
-- KEYS: lease, mark  ARGV: lease value, the mark that was carried out
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
if redis.call('GET', KEYS[2]) == ARGV[2] then
  redis.call('DEL', KEYS[2])
end
return 1
