-- Complete the restore of a tenant. Returns 1 if this backup was being restored.
-- uses: append, hint, audit, custody
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
local backup_id = ARGV[6]

if redis.call('HGET', tenant, 'restoring') ~= backup_id then
  return 0
end
redis.call('HDEL', tenant, 'restoring')
write_audit()
write_hint()
return 1
