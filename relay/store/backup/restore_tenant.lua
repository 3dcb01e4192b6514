-- Restore a tenant. An existing tenant does not change unless `overwrite` is set. Until `restore_finish`, the field
-- `restoring` holds the id of the backup. A backup of a release before managers has none; the tenant is settled later,
-- see _rights.lua. Returns 'restored', 'overwritten', 'under way', 'there' or 'turned away'.
-- uses: append, hint, audit, custody
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local tenant = KEYS[5]
local tenants = KEYS[6]  -- of the partition
local grants = KEYS[7]  -- account ids
local suite_keys = KEYS[8]  -- their ids
local turned_away = KEYS[9]  -- tenant -> mark
local managers = KEYS[10]
local hint = ARGV[1]  -- empty: custody is on a separate server
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local backup_id = ARGV[6]
local overwrite = ARGV[7]  -- '1': replace an existing tenant
local grant_prefix = ARGV[8]  -- of the tenant's grants' keys; an account id follows
local looks_after = ARGV[9]  -- JSON: account -> manager
local suite_key_count = ARGV[10]
local first_part = 11  -- ARGV[11...]: the ids of suite keys; the number of the record's fields and values, and these; for each grant: account id, number, fields and values

local state = redis.call('HGET', tenant, 'state')
local under_way = redis.call('HGET', tenant, 'restoring')
if under_way == backup_id then
  return 'under way'
end
if not state and redis.call('HEXISTS', turned_away, tenant_id) == 1 and overwrite ~= '1' then
  return 'turned away'
end
redis.call('HDEL', turned_away, tenant_id)
if state and overwrite ~= '1' then
  return 'there'
end
local i = first_part
for _ = 1, tonumber(suite_key_count) do
  redis.call('SADD', suite_keys, ARGV[i])
  i = i + 1
end
local function fields()
  local found = {}
  local count = tonumber(ARGV[i])
  for j = i + 1, i + count do
    found[#found + 1] = ARGV[j]
  end
  i = i + 1 + count
  return found
end
redis.call('UNLINK', tenant, managers)
for account, value in pairs(cjson.decode(looks_after)) do
  redis.call('HSET', managers, account, value)
end
redis.call('HSET', tenant, unpack(fields()))
redis.call('HSET', tenant, 'restoring', backup_id)
redis.call('SADD', tenants, tenant_id)
local time = redis.call('TIME')
while i <= #ARGV do
  local account = ARGV[i]
  i = i + 1
  local grant = grant_prefix .. account
  local version = tonumber(redis.call('HGET', grant, 'version') or '0')
  redis.call('UNLINK', grant)
  redis.call('HSET', grant, unpack(fields()))
  if version > 0 then
    -- Replace the version of an existing grant, so that a writer that loaded it gets a conflict.
    version = math.max(version + 1, time[1] * 1000 + math.floor(time[2] / 1000))
    redis.call('HSET', grant, 'version', string.format('%.0f', version))
  end
  redis.call('SADD', grants, account)
end
write_hint()
return state and 'overwritten' or 'restored'
