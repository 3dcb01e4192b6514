-- uses: append, hint, layout
-- KEYS: interest, edges, inbox, head, pending  ARGV: edge, tenant, limit, maxlen, hint, names
for first = 6, #ARGV, CHUNK do
  redis.call('SREM', KEYS[1], unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end
local count = redis.call('SCARD', KEYS[1])
if count == 0 then
  redis.call('SREM', KEYS[2], ARGV[1])
end
if ARGV[5] ~= '' then
  hint(KEYS[3], KEYS[4], KEYS[5], ARGV[2], ARGV[3], ARGV[4], ARGV[5])
end
return count
