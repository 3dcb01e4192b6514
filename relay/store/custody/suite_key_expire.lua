-- Set the end of a suite key. Returns the end in ms; an earlier setting stays in force. Returns 0 for a key that is not
-- the tenant's, or is revoked.
local suite_key = KEYS[1]
local tenant_id = ARGV[1]
local ends_ms = ARGV[2]

local found = redis.call('HMGET', suite_key, 'tenant', 'revoked')
if found[1] ~= tenant_id or found[2] then
  return 0
end
redis.call('HSETNX', suite_key, 'expires', ends_ms)
return redis.call('HGET', suite_key, 'expires')
