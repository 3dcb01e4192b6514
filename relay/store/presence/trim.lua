-- Delete old entries of `changes`. Returns how many.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local changes = KEYS[2]
local lease_value = ARGV[1]
local oldest_ms = ARGV[2]  -- entries from before this are deleted

if not holds_lease() then
  return lease_lost()
end
return redis.call('XTRIM', changes, 'MINID', oldest_ms)
