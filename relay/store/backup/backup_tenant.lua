-- Return a tenant's data in its partition as a consistent snapshot: {record, {account id, grant, ...}, ids of suite
-- keys, managers}.
local tenant = KEYS[1]
local grants = KEYS[2]  -- account ids
local suite_keys = KEYS[3]  -- their ids
local managers = KEYS[4]
local grant_prefix = ARGV[1]  -- of the tenant's grants' keys; an account id follows

local found = {}
for _, account in ipairs(redis.call('SMEMBERS', grants)) do
  found[#found + 1] = account
  found[#found + 1] = redis.call('HGETALL', grant_prefix .. account)
end
return {redis.call('HGETALL', tenant), found, redis.call('SMEMBERS', suite_keys), redis.call('HGETALL', managers)}
