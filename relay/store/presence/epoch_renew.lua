-- uses: lease
-- KEYS: lease, epoch, then the answers of each tenant  ARGV: lease value, new epoch
-- Returns 0 when the lease is lost, and nothing was written.
if not holds(KEYS[1], ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[2], ARGV[2])
for n = 3, #KEYS do
  redis.call('UNLINK', KEYS[n])
end
return 1
