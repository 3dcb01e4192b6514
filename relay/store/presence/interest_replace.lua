-- uses: append, hint
-- KEYS: interest, edges, inbox, head, pending, shared, staged set
-- ARGV: ttl in ms, edge, tenant, limit, maxlen, hint, how many of the staged names other edges have
-- Puts the staged set, if any, in the place of the old one. The old one is unlinked first, which frees it beside the server's own work.
local before = redis.call('SCARD', KEYS[1])
redis.call('UNLINK', KEYS[1])
if redis.call('EXISTS', KEYS[7]) == 1 then
  if before ~= redis.call('SCARD', KEYS[7]) then
    redis.call('HSET', KEYS[6], ARGV[2], ARGV[7])  -- else nothing was lost, and what is kept is as it should be
  end
  redis.call('RENAME', KEYS[7], KEYS[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  redis.call('SADD', KEYS[2], ARGV[2])
else
  redis.call('SREM', KEYS[2], ARGV[2])
  redis.call('HDEL', KEYS[6], ARGV[2])
end
hint(KEYS[3], KEYS[4], KEYS[5], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return redis.call('SCARD', KEYS[1])
