-- Add the mark of a turned-away tenant, unless the tenant or a mark exists. Returns whether it was added.
local tenant = KEYS[1]
local turned_away = KEYS[2]  -- tenant -> mark
local tenant_id = ARGV[1]
local mark = ARGV[2]

if redis.call('HEXISTS', tenant, 'state') == 1 then
  return 0
end
return redis.call('HSETNX', turned_away, tenant_id, mark)
