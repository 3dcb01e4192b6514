-- Change the label of a suite key. Returns 0 for a key that is not the tenant's.
local suite_key = KEYS[1]
local tenant_id = ARGV[1]
local label = ARGV[2]

if redis.call('HGET', suite_key, 'tenant') ~= tenant_id then
  return 0
end
redis.call('HSET', suite_key, 'label', label)
return 1
