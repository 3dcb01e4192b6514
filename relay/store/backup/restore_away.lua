-- KEYS: tenant, tenants that were turned away  ARGV: tenant id, mark
if redis.call('HEXISTS', KEYS[1], 'state') == 1 then
  return 0
end
return redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
