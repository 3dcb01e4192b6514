-- Have a suite key end by itself. Returns when it ends, in ms: an end that was set before stands. 0 for a key that is not the
-- tenant's, or has ended.
local suite_key = KEYS[1]
local tenant_id = ARGV[1]
local ends_ms = ARGV[2]

local found = redis.call('HMGET', suite_key, 'tenant', 'revoked')
if found[1] ~= tenant_id or found[2] then
  return 0
end
redis.call('HSETNX', suite_key, 'expires', ends_ms)
return redis.call('HGET', suite_key, 'expires')
