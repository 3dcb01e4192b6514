-- Add the owner's reply to the list of replies to one question.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local replies = KEYS[2]
local lease_value = ARGV[1]
local ttl_ms = ARGV[2]  -- for how long the list is kept
local reply = ARGV[3]

if not holds_lease() then
  return lease_lost()
end
redis.call('RPUSH', replies, reply)
redis.call('PEXPIRE', replies, ttl_ms)
return 1
