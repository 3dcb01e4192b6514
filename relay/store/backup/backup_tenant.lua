-- KEYS: tenant, grants, suite keys, managers  ARGV: prefix of its grants' keys
-- All of a tenant that is in its partition, of one instant: {record, {account id, grant, ...}, ids of suite keys, managers}
local grants = {}
for _, account in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  grants[#grants + 1] = account
  grants[#grants + 1] = redis.call('HGETALL', ARGV[1] .. account)
end
return {redis.call('HGETALL', KEYS[1]), grants, redis.call('SMEMBERS', KEYS[3]), redis.call('HGETALL', KEYS[4])}
