-- needs: lease, lease_value
-- Return whether `lease_value` is exactly the lease in force: an owner that was late is refused whoever owns it now, and so is
-- everybody while the key holds what is no lease.
local function holds_lease()
  return redis.pcall('GET', lease) == lease_value
end
local function lease_lost()
  return redis.error_reply('LEASELOST another worker owns the partition')
end
