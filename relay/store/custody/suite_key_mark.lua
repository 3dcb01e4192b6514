-- KEYS: suite key  ARGV: tenant, hash, its mark until now ('' for none), the mark
-- Written only when the record is still what the mark vouches for. A revoked key gets none: it has lost its own for good.
local found = redis.call('HMGET', KEYS[1], 'tenant', 'hash', 'revoked', 'mark')
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] or found[3] or (found[4] or '') ~= ARGV[3] then
  return 0
end
redis.call('HSET', KEYS[1], 'mark', ARGV[4])
return 1
