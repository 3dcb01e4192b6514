-- uses: append, hint, layout
-- KEYS: interest, edges, inbox, head, pending  ARGV: ttl in ms, edge, tenant, limit, maxlen, hint or empty, names
for first = 7, #ARGV, CHUNK do
  redis.call('SADD', KEYS[1], unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('SADD', KEYS[2], ARGV[2])
if ARGV[6] ~= '' then
  hint(KEYS[3], KEYS[4], KEYS[5], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
end
return redis.call('SCARD', KEYS[1])
