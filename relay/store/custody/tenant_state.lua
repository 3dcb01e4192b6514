-- Move a tenant from one state to another. Returns 0 when it is in another state by now.
-- uses: append, hint, audit, custody, since
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local tenant = KEYS[5]
local notices = KEYS[6]  -- of the partition
local hint = ARGV[1]  -- empty: custody has a server of its own
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local before = ARGV[6]  -- the state that it leaves
local after = ARGV[7]  -- the state that it comes to
local trouble = ARGV[8]  -- why it needs consent; empty: it does not
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
