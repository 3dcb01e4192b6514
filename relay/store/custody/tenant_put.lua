-- Create a tenant or replace its record; an existing `created` is kept.
-- uses: append, hint, audit, custody, since
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local tenant = KEYS[5]
local tenants = KEYS[6]  -- of the partition
local hint = ARGV[1]  -- empty: custody is on a separate server
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local first_field = 6  -- ARGV[6...]: fields and values of the record

since_of(tenant, first_field)
local created = redis.call('HGET', tenant, 'created')
redis.call('HSET', tenant, unpack(ARGV, first_field))
if created then
  redis.call('HSET', tenant, 'created', created)
end
redis.call('SADD', tenants, tenant_id)
write_audit()
write_hint()
return 1
