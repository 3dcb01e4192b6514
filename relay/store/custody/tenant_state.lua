-- uses: append, hint, audit, custody, since
-- KEYS: ..., tenant, notices  ARGV: ..., state that it follows from, state, trouble (empty: none), notice id, notice (empty: none)
if redis.call('HGET', KEYS[5], 'state') ~= ARGV[6] then
  return 0
end
since(KEYS[5], ARGV[7])
redis.call('HSET', KEYS[5], 'state', ARGV[7], 'trouble', ARGV[8])
if ARGV[10] ~= '' then
  redis.call('HSET', KEYS[6], ARGV[9], ARGV[10])
end
audit()
tell()
return 1
