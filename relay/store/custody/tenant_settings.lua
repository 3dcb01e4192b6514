-- Compare and set a tenant's settings: of two people at once the second begins again from what the first left. Returns 0 when other
-- settings are there, -1 without the tenant.
-- uses: append, hint, audit, custody, rights
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local tenant = KEYS[5]
local hint = ARGV[1]  -- empty: custody has a server of its own
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
-- Another contact may come and manage the tenant; see _rights.lua. One that is not settled yet takes this one then.
local former = old ~= '' and cjson.decode(old).contact_email or ''
local contact = cjson.decode(new).contact_email or ''
if former ~= contact and redis.call('HEXISTS', tenant, 'claim') == 1 then
  put_claim(tenant, contact)
end
write_audit()
write_hint()
return 1
