-- Remove a manager. Returns 1; 0 if it is not a manager; -1 if it is the last one; -2 if the right on which this is
-- based has ended.
-- uses: append, hint, audit, custody, rights
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local tenant = KEYS[5]
local managers = KEYS[6]  -- account -> manager (JSON)
local grants = KEYS[7]  -- account ids
local hint = ARGV[1]  -- empty: custody is on a separate server
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local settling = ARGV[6]  -- see _rights.lua
local account_id = ARGV[7]
local name = ARGV[8]  -- the account's, in lower case
local right_of = ARGV[9]  -- manager on whose right this is based; empty: another basis

settle(tenant, managers, grants, settling, audit_log)
if right_of ~= '' and redis.call('HEXISTS', managers, right_of) == 0 then
  return -2
end
if redis.call('HEXISTS', managers, account_id) == 0 then
  return 0
end
if redis.call('HLEN', managers) <= 1 then
  return -1
end
redis.call('HDEL', managers, account_id)
if string.lower(redis.call('HGET', tenant, 'claim') or '') == name then
  redis.call('HSET', tenant, 'claim', '')
end
write_audit()
write_hint()
return 1
