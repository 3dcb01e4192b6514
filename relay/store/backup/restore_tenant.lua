-- uses: append, hint, audit, custody
-- KEYS: ..., tenant, tenants, grants, suite keys, tenants that were turned away
-- ARGV: ..., backup id, '1' to overwrite, prefix of grants' keys, number of suite key ids, these,
--       number of the record's fields and values, these, then of each grant: account id, number, fields and values
-- and last among both: managers; who they are (JSON: account id -> value). A backup from before there were two rights has none, and
-- its record says so: see _rights.lua.
-- A tenant that is there stays as it is unless told. Until `restore_finish`, `restoring` says which backup is under way.
-- Returns 'restored', 'overwritten', 'under way', 'there' or 'turned away'.
local managers, looks_after = table.remove(KEYS), cjson.decode(table.remove(ARGV))
local state = redis.call('HGET', KEYS[5], 'state')
local under_way = redis.call('HGET', KEYS[5], 'restoring')
if under_way == ARGV[6] then
  return 'under way'
end
if not state and redis.call('HEXISTS', KEYS[9], ARGV[2]) == 1 and ARGV[7] ~= '1' then
  return 'turned away'
end
redis.call('HDEL', KEYS[9], ARGV[2])
if state and ARGV[7] ~= '1' then
  return 'there'
end
local i = 10
for _ = 1, tonumber(ARGV[9]) do
  redis.call('SADD', KEYS[8], ARGV[i])
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
redis.call('UNLINK', KEYS[5], managers)
for account, value in pairs(looks_after) do
  redis.call('HSET', managers, account, value)
end
redis.call('HSET', KEYS[5], unpack(fields()))
redis.call('HSET', KEYS[5], 'restoring', ARGV[6])
redis.call('SADD', KEYS[6], ARGV[2])
local time = redis.call('TIME')
while i <= #ARGV do
  local account = ARGV[i]
  i = i + 1
  local grant = ARGV[8] .. account
  local version = tonumber(redis.call('HGET', grant, 'version') or '0')
  redis.call('UNLINK', grant)
  redis.call('HSET', grant, unpack(fields()))
  if version > 0 then
    -- Another grant was here under its version: whoever holds that must see that it is another one now.
    version = math.max(version + 1, time[1] * 1000 + math.floor(time[2] / 1000))
    redis.call('HSET', grant, 'version', string.format('%.0f', version))
  end
  redis.call('SADD', KEYS[7], account)
end
tell()
return state and 'overwritten' or 'restored'
