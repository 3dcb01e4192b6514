-- uses: append, hint, custody
-- KEYS: ..., tenant, tenants, grants, suite keys  ARGV: ..., prefix of its grants' keys
-- The names of the grants' keys follow from the set and share its slot: listing them first would race with a new grant.
local known = redis.call('SREM', KEYS[5], ARGV[2])
for _, account in ipairs(redis.call('SMEMBERS', KEYS[6])) do
  redis.call('UNLINK', ARGV[5] .. account)
end
redis.call('UNLINK', KEYS[4], KEYS[6], KEYS[7])
tell()
return known
