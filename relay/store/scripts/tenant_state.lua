-- uses: append, hint, audit, custody, since
-- KEYS: ..., tenant  ARGV: ..., state that it follows from, state, trouble (empty: none)
if redis.call('HGET', KEYS[5], 'state') ~= ARGV[6] then
  return 0
end
since(KEYS[5], ARGV[7])
redis.call('HSET', KEYS[5], 'state', ARGV[7], 'trouble', ARGV[8])
audit()
tell()
return 1
