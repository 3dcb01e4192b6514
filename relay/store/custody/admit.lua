-- Admit a tenant with one account's grant, or add or renew that grant. An existing tenant keeps its record; only empty
-- fields are filled in.
-- Returns the tenant's state, followed by ' first' if the account connected the tenant first and is now its manager.
-- Other results write nothing: 1, the account must send a request to the managers; 2, the request is not waiting; 3,
-- the right on which this is based has ended; {mark}, the operator turned the tenant away; '', the tenant does not
-- exist and this may not create it.
-- uses: append, hint, audit, custody, since, rights
local inbox = KEYS[1]
local inbox_head = KEYS[2]
local inbox_pending = KEYS[3]
local audit_log = KEYS[4]
local tenant = KEYS[5]
local tenants = KEYS[6]  -- of the partition
local grant = KEYS[7]  -- the account's
local grants = KEYS[8]  -- account ids
local replaced_grant = KEYS[9]  -- the grant that it replaces, or `grant` again
local notices = KEYS[10]  -- of the partition
local turned_away = KEYS[11]  -- tenant -> mark
local managers = KEYS[12]
local requests = KEYS[13]  -- account -> request
local request = KEYS[14]  -- the account's sealed consent
local hint = ARGV[1]  -- empty: custody is on a separate server
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local entry = ARGV[5]  -- of the audit log; see _audit.lua
local account_id = ARGV[6]
local now_ms = ARGV[7]
local transitions = ARGV[8]  -- JSON: state before -> state after; '' is a tenant that does not exist
local replaced_account = ARGV[9]  -- the account whose grant it replaces; empty: none
local replaced_entry = ARGV[10]  -- the audit log's entry for that
local notice_id = ARGV[11]
local notice = ARGV[12]  -- for a restored consent
local consent = ARGV[13]  -- JSON: its circumstances; see `_Consent` in admissions.py
local record_length = ARGV[14]  -- fields and values of a new record
local first_field = 15  -- ARGV[15...]: fields and values of a new record, then those of the grant

local given = cjson.decode(consent)
local away = redis.call('HGET', turned_away, tenant_id)
if away and given.word_ms <= cjson.decode(away).at_ms then
  return {away}
end
local state = redis.call('HGET', tenant, 'state') or ''
settle(tenant, managers, grants, given.settling, audit_log)
local is_first = redis.call('HLEN', managers) == 0 and (state == '' or state == 'pending' or state == 'removed')
local is_known = redis.call('SISMEMBER', grants, account_id) == 1 or redis.call('HEXISTS', managers, account_id) == 1
if given.by_wizard and not is_first and not is_known then
  return 1
end
if given.right_of ~= '' and redis.call('HEXISTS', managers, given.right_of) == 0 then
  return 3
end
if given.asked_ms > 0 then
  -- Exactly the request that the manager saw: it may have been refused or replaced since.
  local waits = redis.call('EXISTS', request) == 1 and redis.call('HGET', requests, account_id)
  if not waits or cjson.decode(waits).asked_ms ~= given.asked_ms then
    return 2
  end
end
local after = cjson.decode(transitions)[state] or state
if after == '' then
  return after
end
redis.call('HDEL', turned_away, tenant_id)
local first_of_grant = first_field + tonumber(record_length)
-- No manager of a connected tenant has accepted the text from the wizard.
if is_first or not given.by_wizard then
  for i = first_field, first_of_grant - 1, 2 do
    local known = redis.call('HGET', tenant, ARGV[i])
    if not known or known == '' or known == '{}' then
      redis.call('HSET', tenant, ARGV[i], ARGV[i + 1])
    end
  end
end
since(tenant, after)
redis.call('HSET', tenant, 'state', after)
if after ~= state then
  -- Users who got a notice that consent is needed get one that it is restored.
  if state == 'consent-required' and (redis.call('HGET', tenant, 'trouble') or '') ~= '' then
    redis.call('HSET', notices, notice_id, notice)
  end
  redis.call('HDEL', tenant, 'trouble')
end
redis.call('SADD', tenants, tenant_id)

-- As in grant_save: a version is never reused, not even after a removal.
local time = redis.call('TIME')
local version = tonumber(redis.call('HGET', grant, 'version') or '0')
version = math.max(version + 1, time[1] * 1000 + math.floor(time[2] / 1000))
since_of(grant, first_of_grant)
local is_new = redis.call('HSETNX', grant, 'created', now_ms) == 1
redis.call('HSET', grant, 'version', string.format('%.0f', version), unpack(ARGV, first_of_grant))
redis.call('SADD', grants, account_id)
if after == 'pending' and state ~= 'pending' then
  write_audit('tenant-applied')
elseif state == '' or state == 'pending' and after ~= 'pending' or state == 'removed' then
  write_audit('tenant-admitted')
end
write_audit(not is_new and 'grant-replaced' or nil)
if replaced_account ~= '' and replaced_account ~= account_id then
  redis.call('SREM', grants, replaced_account)
  if redis.call('UNLINK', replaced_grant) == 1 then
    append_audit(audit_log, replaced_entry)
  end
end
if is_first then
  redis.call('HSET', managers, account_id, given.manager)
  local contact = contact_of(tenant)
  put_claim(tenant, string.lower(contact) ~= given.name and contact or '')
end
-- However the grant came about, a request of the account is now accepted.
local asked = redis.call('HGET', requests, account_id)
redis.call('UNLINK', request)
if asked then
  asked = cjson.decode(asked)
  asked.state, asked.decided_ms = 'accepted', tonumber(now_ms)
  redis.call('HSET', requests, account_id, cjson.encode(asked))
end
write_hint()
return is_first and after .. ' first' or after
