-- uses: layout, shared
-- KEYS: a set that nobody reads yet, edges, shared  ARGV: ttl in ms, edge, prefix, names
-- Returns how many of the names that are new in the set another edge has.
local sets = others(KEYS[2], KEYS[3], ARGV[3], ARGV[2])
local elsewhere = count_elsewhere(KEYS[1], sets, 4, 0)
for first = 4, #ARGV, CHUNK do
  redis.call('SADD', KEYS[1], unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return elsewhere
