-- Begin another epoch, and delete the answers of the old one. Returns 0 when the lease is lost, and nothing was written.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local epoch = KEYS[2]
local first_answers = 3  -- KEYS[3...]: the answers of each tenant
local lease_value = ARGV[1]
local new_epoch = ARGV[2]

if not holds_lease() then
  return 0
end
redis.call('SET', epoch, new_epoch)
for n = first_answers, #KEYS do
  redis.call('UNLINK', KEYS[n])
end
return 1
