-- uses: append, hint, audit, custody
-- KEYS: ..., tenant, tenants, grants, suite keys, log of watches, tenants that left, tenants turned away
-- ARGV: ..., prefix of its grants' keys, mark of one that is turned away (empty: none), only in this state (empty: in any)
-- and last among both: managers, requests; prefix of its requests' keys
-- Returns -1 when it is in another state.
-- The names of the grants' and requests' keys follow from the set and share its slot: listing them first would race with a new grant.
local request_prefix, requests, managers = table.remove(ARGV), table.remove(KEYS), table.remove(KEYS)
if ARGV[8] ~= '' and redis.call('HGET', KEYS[5], 'state') ~= ARGV[8] then
  return -1
end
if ARGV[7] ~= '' then
  redis.call('HSET', KEYS[11], ARGV[2], ARGV[7])
end
local known = redis.call('SREM', KEYS[6], ARGV[2])
for _, account in ipairs(redis.call('SMEMBERS', KEYS[7])) do
  redis.call('UNLINK', ARGV[6] .. account)
end
for _, account in ipairs(redis.call('HKEYS', requests)) do
  redis.call('UNLINK', request_prefix .. account)
end
redis.call('UNLINK', managers, requests)
redis.call('UNLINK', KEYS[4], KEYS[5], KEYS[7], KEYS[8], KEYS[9])
-- Until the worker has deleted what is known of the users: it may be away, and for longer than hints are kept.
redis.call('SADD', KEYS[10], ARGV[2])
tell()
return known
