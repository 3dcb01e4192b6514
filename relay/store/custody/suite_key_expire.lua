-- KEYS: suite key  ARGV: tenant, when it ends in ms
-- Returns when it ends: an end that was set before stands. 0 for a key that is not the tenant's, or has ended.
local found = redis.call('HMGET', KEYS[1], 'tenant', 'revoked')
if found[1] ~= ARGV[1] or found[2] then
  return 0
end
redis.call('HSETNX', KEYS[1], 'expires', ARGV[2])
return redis.call('HGET', KEYS[1], 'expires')
