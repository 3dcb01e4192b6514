-- Clear the mark of a change that was enforced; a newer mark stays.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local mark = KEYS[2]
local lease_value = ARGV[1]
local carried_out = ARGV[2]  -- the mark that was there before the settings were read

if not holds_lease() then
  return lease_lost()
end
if redis.call('GET', mark) == carried_out then
  redis.call('DEL', mark)
end
return 1
