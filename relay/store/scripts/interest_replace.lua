-- uses: append, hint
-- KEYS: interest, edges, inbox, head, pending, staged set  ARGV: ttl in ms, edge, tenant, limit, maxlen, hint
-- Puts the staged set, if any, in the place of the old one.
if redis.call('EXISTS', KEYS[6]) == 1 then
  redis.call('RENAME', KEYS[6], KEYS[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  redis.call('SADD', KEYS[2], ARGV[2])
else
  redis.call('UNLINK', KEYS[1])
  redis.call('SREM', KEYS[2], ARGV[2])
end
hint(KEYS[3], KEYS[4], KEYS[5], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return redis.call('SCARD', KEYS[1])
