-- Compare and set a tenant's settings, so that concurrent changes do not undo each other. Returns 0 if the settings
-- have changed since they were read, -1 if there is no such tenant.
-- uses: append, hint, audit, custody, rights
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local tenant = KEYS[5]
local hint = ARGV[1]  -- empty: custody is on a separate server
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local old = ARGV[6]  -- settings that were read (JSON)
local new = ARGV[7]  -- settings that take their place (JSON)

if redis.call('HEXISTS', tenant, 'state') == 0 then
  return -1
end
if (redis.call('HGET', tenant, 'settings') or '') ~= old then
  return 0
end
redis.call('HSET', tenant, 'settings', new)
-- A new contact gets a claim; see _rights.lua. An unsettled tenant makes the claim when it is settled.
local former = old ~= '' and cjson.decode(old).contact_email or ''
local contact = cjson.decode(new).contact_email or ''
if former ~= contact and redis.call('HEXISTS', tenant, 'claim') == 1 then
  put_claim(tenant, contact)
end
write_audit()
write_hint()
return 1
