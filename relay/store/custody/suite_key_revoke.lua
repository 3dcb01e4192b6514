-- KEYS: suite key  ARGV: now in ms
-- Returns the tenant, when the key was revoked, and whether the audit log tells of it; nil for a key that nobody issued. The
-- first revocation's time stands. Its mark goes: to take `revoked` away again is then not enough to bring the key back.
local tenant = redis.call('HGET', KEYS[1], 'tenant')
if tenant then
  redis.call('HSETNX', KEYS[1], 'revoked', ARGV[1])
  redis.call('HDEL', KEYS[1], 'mark')
  return {tenant, redis.call('HGET', KEYS[1], 'revoked'), redis.call('HEXISTS', KEYS[1], 'revoked_told')}
end
return nil
