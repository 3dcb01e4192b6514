-- uses: append, hint, audit, custody, since, rights
-- KEYS: ..., tenant, tenants, grant, grants, grant that it takes the place of (or again the grant), notices,
-- tenants that were turned away
-- ARGV: ..., account id, now in ms, transitions (JSON), account that it takes the place of (or ''), log entry of that, notice id,
-- notice of a consent that is restored, n, n fields of a new record, fields of the grant
-- and last among both: managers, requests, sealed request of the account; who comes how (JSON, see `_Coming`)
-- Returns the tenant's state, and ' first' behind it when the account is the first to connect the tenant and looks after it
-- from now on. Nothing was written when it returns 1, its managers must be asked first; 2, what they say yes to is gone;
-- 3, the right that it rests on has ended; {mark}, the
-- operator turned it away; or '', it is not there and may not begin so.
-- A tenant that is there keeps what its record says; only what is empty is filled in.
local coming = cjson.decode(table.remove(ARGV))
local request, requests, managers = table.remove(KEYS), table.remove(KEYS), table.remove(KEYS)
local away = redis.call('HGET', KEYS[11], ARGV[2])
if away and coming.word_ms <= cjson.decode(away).at_ms then
  return {away}
end
local state = redis.call('HGET', KEYS[5], 'state') or ''
settle(KEYS[5], managers, KEYS[8], coming.settling, KEYS[4])
local is_first = redis.call('HLEN', managers) == 0 and (state == '' or state == 'pending' or state == 'removed')
local is_known = redis.call('SISMEMBER', KEYS[8], ARGV[6]) == 1 or redis.call('HEXISTS', managers, ARGV[6]) == 1
if coming.by_wizard and not is_first and not is_known then
  return 1
end
if coming.right_of ~= '' and redis.call('HEXISTS', managers, coming.right_of) == 0 then
  return 3
end
if coming.asked_ms > 0 then
  -- The very request that somebody looked at: another no, and another request, may have come since.
  local waits = redis.call('EXISTS', request) == 1 and redis.call('HGET', requests, ARGV[6])
  if not waits or cjson.decode(waits).asked_ms ~= coming.asked_ms then
    return 2
  end
end
local after = cjson.decode(ARGV[8])[state] or state
if after == '' then
  return after
end
redis.call('HDEL', KEYS[11], ARGV[2])
local first = 14
local last = first + tonumber(ARGV[13]) - 1
-- Nobody of a connected tenant has said yes to what was typed into the wizard.
for i = first, (is_first or not coming.by_wizard) and last or 0, 2 do
  local known = redis.call('HGET', KEYS[5], ARGV[i])
  if not known or known == '' or known == '{}' then
    redis.call('HSET', KEYS[5], ARGV[i], ARGV[i + 1])
  end
end
since(KEYS[5], after)
redis.call('HSET', KEYS[5], 'state', after)
if after ~= state then
  -- Whoever was told that consent is needed is told that it is there.
  if state == 'consent-required' and (redis.call('HGET', KEYS[5], 'trouble') or '') ~= '' then
    redis.call('HSET', KEYS[10], ARGV[11], ARGV[12])
  end
  redis.call('HDEL', KEYS[5], 'trouble')
end
redis.call('SADD', KEYS[6], ARGV[2])

-- As in grant_save: a version never comes twice, not even after a removal.
local time = redis.call('TIME')
local version = tonumber(redis.call('HGET', KEYS[7], 'version') or '0')
version = math.max(version + 1, time[1] * 1000 + math.floor(time[2] / 1000))
since_of(KEYS[7], last + 1)
local is_new = redis.call('HSETNX', KEYS[7], 'created', ARGV[7]) == 1
redis.call('HSET', KEYS[7], 'version', string.format('%.0f', version), unpack(ARGV, last + 1))
redis.call('SADD', KEYS[8], ARGV[6])
if after == 'pending' and state ~= 'pending' then
  audit('tenant-applied')
elseif state == '' or state == 'pending' and after ~= 'pending' or state == 'removed' then
  audit('tenant-admitted')
end
audit(not is_new and 'grant-replaced' or nil)
if ARGV[9] ~= '' and ARGV[9] ~= ARGV[6] then
  redis.call('SREM', KEYS[8], ARGV[9])
  if redis.call('UNLINK', KEYS[9]) == 1 then
    record(KEYS[4], ARGV[10])
  end
end
if is_first then
  redis.call('HSET', managers, ARGV[6], coming.manager)
  local contact = contact_of(KEYS[5])
  put_claim(KEYS[5], string.lower(contact) ~= coming.name and contact or '')
end
-- Whatever way the grant came: nobody need say yes to the account's request any more.
local asked = redis.call('HGET', requests, ARGV[6])
redis.call('UNLINK', request)
if asked then
  asked = cjson.decode(asked)
  asked.state, asked.decided_ms = 'accepted', tonumber(ARGV[7])
  redis.call('HSET', requests, ARGV[6], cjson.encode(asked))
end
tell()
return is_first and after .. ' first' or after
