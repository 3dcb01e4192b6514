-- KEYS: suite key  ARGV: now in ms
-- Returns the tenant and when the key was revoked, or nil for a key that nobody issued. The first revocation's time stands.
local tenant = redis.call('HGET', KEYS[1], 'tenant')
if tenant then
  redis.call('HSETNX', KEYS[1], 'revoked', ARGV[1])
  return {tenant, redis.call('HGET', KEYS[1], 'revoked')}
end
return nil
