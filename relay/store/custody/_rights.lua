-- Settle the managers of a tenant. A settled tenant has the field `claim` in its record; a tenant from a release before
-- managers lacks it. Its oldest reading account then becomes a manager, and its contact gets a claim.
-- tenant, managers, grants: keys of one tenant  settling: JSON of relay/store/custody/managers.py `settling`  log: its audit log
local function contact_of(tenant)
  local settings = redis.call('HGET', tenant, 'settings')
  return settings and settings ~= '' and cjson.decode(settings).contact_email or ''
end
-- Start the contact's claim now; readers compute its end.
local function put_claim(tenant, contact)
  local time = redis.call('TIME')
  redis.call('HSET', tenant, 'claim', contact, 'claim_ms', time[1] * 1000 + math.floor(time[2] / 1000))
end
local function settle(tenant, managers, grants, settling, log)
  if redis.call('HEXISTS', tenant, 'state') == 0 or redis.call('HEXISTS', tenant, 'claim') == 1 then
    return
  end
  local given = cjson.decode(settling)
  put_claim(tenant, contact_of(tenant))
  local oldest, upn, created = nil, '', nil
  for _, account in ipairs(redis.call('SMEMBERS', grants)) do
    local grant = redis.call('HMGET', given.prefix .. account, 'created', 'upn')
    local began = tonumber(grant[1])
    if began and (not created or began < created or began == created and account < oldest) then
      oldest, upn, created = account, grant[2] or '', began
    end
  end
  if not oldest or redis.call('HLEN', managers) > 0 then
    return
  end
  local time = redis.call('TIME')
  local since = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('HSET', managers, oldest, string.format(
    '{"upn":%s,"since_ms":%.0f,"origin":%s}', cjson.encode(upn), since, cjson.encode(given.origin)))
  local made = cjson.decode(given.entry)
  local body = cjson.decode(made.body)
  made.subject, body.subject_id, body.subject = oldest, oldest, upn
  made.body = cjson.encode(body)
  append_audit(log, cjson.encode(made))
end
