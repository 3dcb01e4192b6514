-- Delete a tenant with all its data. Returns whether there was one; -1 if it is in another state than `only_in`. The
-- keys of grants and requests are derived from the sets and share their slot. Callers do not list them, because that
-- would race with a new grant.
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
local left = KEYS[10]  -- tenants that left the partition
local turned_away = KEYS[11]  -- tenant -> mark
local managers = KEYS[12]
local requests = KEYS[13]  -- account -> request
local hint = ARGV[1]  -- empty: custody is on a separate server
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local grant_prefix = ARGV[6]  -- of the tenant's grants' keys; an account id follows
local mark = ARGV[7]  -- mark of a turned-away tenant; empty: none
local only_in = ARGV[8]  -- delete it only in this state; empty: in any
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
-- Listed until the worker has deleted the users' data: it may be unavailable for longer than hints are kept.
redis.call('SADD', left, tenant_id)
write_hint()
return known
