-- uses: append, hint, audit, custody
-- KEYS: ..., tenant  ARGV: ..., state that it follows from, state
if redis.call('HGET', KEYS[5], 'state') ~= ARGV[6] then
  return 0
end
redis.call('HSET', KEYS[5], 'state', ARGV[7])
audit()
tell()
return 1
