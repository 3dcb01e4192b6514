-- Whether `held` is exactly the lease in force at `key`: an owner that was late is refused whoever owns it now.
local function holds(key, held)
  return redis.call('GET', key) == held
end
local function lease_lost()
  return redis.error_reply('LEASELOST another worker owns the partition')
end
