-- uses: append, hint, custody
-- KEYS: ..., tenant  ARGV: ..., state that it follows from, state
if redis.call('HGET', KEYS[4], 'state') ~= ARGV[5] then
  return 0
end
redis.call('HSET', KEYS[4], 'state', ARGV[6])
tell()
return 1
