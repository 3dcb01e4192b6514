-- needs: lease, lease_value
-- Return whether `lease_value` is exactly the lease in force. A former owner is always refused, and so is every worker
-- while the key holds a value that is not a lease.
local function holds_lease()
  return redis.pcall('GET', lease) == lease_value
end
local function lease_lost()
  return redis.error_reply('LEASELOST another worker owns the partition')
end
