-- uses: append, hint, audit, custody, rights
-- KEYS: ..., tenant, managers, grants  ARGV: ..., settling, account id, its name in lower case,
-- manager whose right this rests on (empty: it rests on another)
-- Returns 1; 0 when it is none; -1 when it is the last one; -2 when that right has ended.
settle(KEYS[5], KEYS[6], KEYS[7], ARGV[6], KEYS[4])
if ARGV[9] ~= '' and redis.call('HEXISTS', KEYS[6], ARGV[9]) == 0 then
  return -2
end
if redis.call('HEXISTS', KEYS[6], ARGV[7]) == 0 then
  return 0
end
if redis.call('HLEN', KEYS[6]) <= 1 then
  return -1
end
redis.call('HDEL', KEYS[6], ARGV[7])
if string.lower(redis.call('HGET', KEYS[5], 'claim') or '') == ARGV[8] then
  redis.call('HSET', KEYS[5], 'claim', '')
end
audit()
tell()
return 1
