-- End a waiting request, and delete its consent. Returns 0 if it is not waiting.
-- uses: append, hint, audit, custody
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local tenant = KEYS[5]
local requests = KEYS[6]  -- account -> request
local request = KEYS[7]  -- the account's sealed consent
local hint = ARGV[1]  -- empty: custody is on a separate server
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local account_id = ARGV[6]
local now_ms = ARGV[7]
local state = ARGV[8]  -- its new state

local found = redis.call('HGET', requests, account_id)
local waited = redis.call('UNLINK', request) == 1
if not found or not waited then
  return 0
end
local ended = cjson.decode(found)
ended.state, ended.decided_ms = state, tonumber(now_ms)
redis.call('HSET', requests, account_id, cjson.encode(ended))
write_audit()
write_hint()
return 1
