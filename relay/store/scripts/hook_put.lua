-- KEYS: hook, tenant  ARGV: url, sealed secret
if redis.call('HEXISTS', KEYS[2], 'state') == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'url', ARGV[1], 'secret', ARGV[2])
return 1
