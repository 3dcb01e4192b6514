-- Compare and set a grant. Returns the new version, {the version found} on conflict, or -1 if there is no such tenant.
-- A version is never reused, not even after a removal: it is at least the time in ms.
-- uses: append, hint, audit, custody, since
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local grant = KEYS[5]
local grants = KEYS[6]  -- account ids
local tenant = KEYS[7]
local hint = ARGV[1]  -- empty: custody is on a separate server
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local expected_version = ARGV[6]  -- 0: there is none
local account_id = ARGV[7]
local first_field = 8  -- ARGV[8...]: fields and values of the grant

if redis.call('HEXISTS', tenant, 'state') == 0 then
  return -1
end
local version = tonumber(redis.call('HGET', grant, 'version') or '0')
if version ~= tonumber(expected_version) then
  return {version}
end
local time = redis.call('TIME')
local new = math.max(version + 1, time[1] * 1000 + math.floor(time[2] / 1000))
since_of(grant, first_field)
redis.call('HSET', grant, 'version', string.format('%.0f', new), unpack(ARGV, first_field))
redis.call('SADD', grants, account_id)
write_audit(version ~= 0 and 'grant-replaced' or nil)
write_hint()
return new
