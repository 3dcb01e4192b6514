-- Delete a tenant with all that belongs to it. Returns whether there was one; -1 when it is in another state than `only_in`.
-- The names of the grants' and requests' keys follow from the sets and share their slot: listing them first would race with a new
-- grant.
-- uses: append, hint, audit, custody
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local tenant = KEYS[5]
local tenants = KEYS[6]  -- of the partition
local grants = KEYS[7]  -- account ids
local suite_keys = KEYS[8]  -- their ids
local watches_log = KEYS[9]
local left = KEYS[10]  -- tenants of the partition that left
local turned_away = KEYS[11]  -- tenant -> mark
local managers = KEYS[12]
local requests = KEYS[13]  -- account -> request
local hint = ARGV[1]  -- empty: custody has a server of its own
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local grant_prefix = ARGV[6]  -- of the tenant's grants' keys; an account id follows
local mark = ARGV[7]  -- of a tenant that is turned away; empty: it is not
local only_in = ARGV[8]  -- the state in which alone it is deleted; empty: any
local request_prefix = ARGV[9]  -- of its requests' keys; an account id follows

if only_in ~= '' and redis.call('HGET', tenant, 'state') ~= only_in then
  return -1
end
if mark ~= '' then
  redis.call('HSET', turned_away, tenant_id, mark)
end
local known = redis.call('SREM', tenants, tenant_id)
for _, account in ipairs(redis.call('SMEMBERS', grants)) do
  redis.call('UNLINK', grant_prefix .. account)
end
for _, account in ipairs(redis.call('HKEYS', requests)) do
  redis.call('UNLINK', request_prefix .. account)
end
redis.call('UNLINK', audit_log, tenant, grants, suite_keys, watches_log, managers, requests)
-- Until the worker has deleted what is known of the users: it may be away, and for longer than hints are kept.
redis.call('SADD', left, tenant_id)
write_hint()
return known
