-- Delete a grant. Returns 0 if there was none; -1, without deleting it, if it is the tenant's last one.
-- uses: append, hint, audit, custody
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local grant = KEYS[5]
local grants = KEYS[6]  -- account ids
local hint = ARGV[1]  -- empty: custody is on a separate server
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local account_id = ARGV[6]
local keep_last = ARGV[7]  -- 1 to keep the last one

if keep_last == '1' and redis.call('SCARD', grants) == 1 and redis.call('SISMEMBER', grants, account_id) == 1 then
  return -1
end
redis.call('SREM', grants, account_id)
local known = redis.call('UNLINK', grant)
if known == 1 then
  write_audit()
end
write_hint()
return known
