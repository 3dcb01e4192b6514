-- uses: lease, layout
-- KEYS: lease, hash  ARGV: lease value, fields
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
for first = 2, #ARGV, CHUNK do
  redis.call('HDEL', KEYS[2], unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end
return 1
