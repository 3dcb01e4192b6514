-- Move a tenant from one state to another. Returns 0 if it is no longer in the state `before`.
-- uses: append, hint, audit, custody, since
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local tenant = KEYS[5]
local notices = KEYS[6]  -- of the partition
local hint = ARGV[1]  -- empty: custody is on a separate server
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local before = ARGV[6]  -- the old state
local after = ARGV[7]  -- the new state
local trouble = ARGV[8]  -- why it needs consent (JSON); empty: no reason
local notice_id = ARGV[9]
local notice = ARGV[10]  -- empty: none

if redis.call('HGET', tenant, 'state') ~= before then
  return 0
end
since(tenant, after)
redis.call('HSET', tenant, 'state', after, 'trouble', trouble)
if notice ~= '' then
  redis.call('HSET', notices, notice_id, notice)
end
write_audit()
write_hint()
return 1
