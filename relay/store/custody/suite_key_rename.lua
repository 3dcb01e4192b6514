-- KEYS: suite key  ARGV: tenant, label
if redis.call('HGET', KEYS[1], 'tenant') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'label', ARGV[2])
return 1
