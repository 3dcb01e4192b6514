-- uses: layout
-- KEYS: a set that nobody reads yet  ARGV: ttl in ms, names
for first = 2, #ARGV, CHUNK do
  redis.call('SADD', KEYS[1], unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
