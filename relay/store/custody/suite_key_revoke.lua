-- Revoke a suite key. Returns {tenant, time of the first revocation in ms, whether the audit log has an entry of it};
-- nil for an unknown key. Also deletes its mark: removing `revoked` later is then not enough to restore the key.
local suite_key = KEYS[1]
local now_ms = ARGV[1]

local tenant = redis.call('HGET', suite_key, 'tenant')
if tenant then
  redis.call('HSETNX', suite_key, 'revoked', now_ms)
  redis.call('HDEL', suite_key, 'mark')
  return {tenant, redis.call('HGET', suite_key, 'revoked'), redis.call('HEXISTS', suite_key, 'revoked_told')}
end
return nil
