-- Store an account's consent until a manager decides. Returns 1; 2, so that no second notification is sent, if a
-- request of the account was waiting or was withdrawn within a day; 0 if too many are waiting; -1 if there is no such
-- tenant.
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
local asked = ARGV[7]  -- the request (JSON)
local sealed = ARGV[8]  -- the consent
local waits_ms = ARGV[9]  -- longest wait
local now_ms = ARGV[10]
local most_waiting = ARGV[11]
local most_kept = ARGV[12]  -- waiting and decided requests

if redis.call('HEXISTS', tenant, 'state') == 0 then
  return -1
end
local waits, now = tonumber(waits_ms), tonumber(now_ms)
local others, waiting, again, was_told = {}, 0, false, false
local found = redis.call('HGETALL', requests)
for i = 1, #found, 2 do
  local other = cjson.decode(found[i + 1])
  local is_waiting = other.state == 'waiting' and other.asked_ms + waits > now
  if found[i] == account_id then
    again = is_waiting
    was_told = other.state == 'withdrawn' and other.asked_ms + 86400000 > now
  elseif is_waiting then
    waiting = waiting + 1
  elseif other.asked_ms + 2 * waits <= now then
    redis.call('HDEL', requests, found[i])
  else
    others[#others + 1] = {other.asked_ms, found[i]}
  end
end
if waiting >= tonumber(most_waiting) and not again then
  return 0
end
table.sort(others, function(a, b) return a[1] < b[1] end)
for i = 1, #others + waiting + 1 - tonumber(most_kept) do
  redis.call('HDEL', requests, others[i][2])
end
redis.call('HSET', requests, account_id, asked)
redis.call('SET', request, sealed, 'PX', waits_ms)
if again then
  return 2
end
write_audit()
write_hint()
return was_told and 2 or 1
