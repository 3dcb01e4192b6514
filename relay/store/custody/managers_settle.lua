-- Settle a tenant if needed, and return {managers, claim, time of the claim in ms}.
-- uses: audit, rights
local tenant = KEYS[1]
local managers = KEYS[2]  -- account -> manager (JSON)
local grants = KEYS[3]  -- account ids
local audit_log = KEYS[4]
local settling = ARGV[1]  -- see _rights.lua

settle(tenant, managers, grants, settling, audit_log)
return {
  redis.call('HGETALL', managers), redis.call('HGET', tenant, 'claim') or '', redis.call('HGET', tenant, 'claim_ms') or '0'}
