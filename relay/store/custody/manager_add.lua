-- Let an account manage a tenant. The use of a claim ends it, even if the account is a manager already.
-- Returns 1; 0 if it is a manager already, or the claim has changed; -1 if there are too many; -2 if the right on which
-- this is based has ended; -3 if there is no such tenant.
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
local manager = ARGV[8]  -- JSON
local claim = ARGV[9]  -- empty: added without a claim
local most_managers = ARGV[10]
local right_of = ARGV[11]  -- manager on whose right this is based; empty: another basis

if redis.call('HEXISTS', tenant, 'state') == 0 then
  return -3
end
settle(tenant, managers, grants, settling, audit_log)
if right_of ~= '' and redis.call('HEXISTS', managers, right_of) == 0 then
  return -2
end
if claim ~= '' then
  if redis.call('HGET', tenant, 'claim') ~= claim then
    return 0
  end
  redis.call('HSET', tenant, 'claim', '')
end
if redis.call('HEXISTS', managers, account_id) == 1 then
  return 0
end
if redis.call('HLEN', managers) >= tonumber(most_managers) then
  return -1
end
redis.call('HSET', managers, account_id, manager)
write_audit()
write_hint()
return 1
