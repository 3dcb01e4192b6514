-- KEYS: suite key  ARGV: now in ms
-- Returns the tenant, or nil for a key that nobody issued. The first revocation's time stands.
local tenant = redis.call('HGET', KEYS[1], 'tenant')
if tenant then
  redis.call('HSETNX', KEYS[1], 'revoked', ARGV[1])
end
return tenant
