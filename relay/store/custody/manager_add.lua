-- uses: append, hint, audit, custody, rights
-- KEYS: ..., tenant, managers, grants  ARGV: ..., settling, account id, who it is (JSON), claim (empty: somebody named it), most,
-- manager whose right this rests on (empty: it rests on another)
-- A claim is used up by whoever comes with it, be they a manager already.
-- Returns 1; 0 when it is one, or the claim is another by now; -1 when there are too many; -2 when that right has ended; -3 without the tenant.
if redis.call('HEXISTS', KEYS[5], 'state') == 0 then
  return -3
end
settle(KEYS[5], KEYS[6], KEYS[7], ARGV[6], KEYS[4])
if ARGV[11] ~= '' and redis.call('HEXISTS', KEYS[6], ARGV[11]) == 0 then
  return -2
end
if ARGV[9] ~= '' then
  if redis.call('HGET', KEYS[5], 'claim') ~= ARGV[9] then
    return 0
  end
  redis.call('HSET', KEYS[5], 'claim', '')
end
if redis.call('HEXISTS', KEYS[6], ARGV[7]) == 1 then
  return 0
end
if redis.call('HLEN', KEYS[6]) >= tonumber(ARGV[10]) then
  return -1
end
redis.call('HSET', KEYS[6], ARGV[7], ARGV[8])
audit()
tell()
return 1
