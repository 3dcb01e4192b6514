-- uses: append, hint
-- KEYS: counter, inbox, head, pending, changes, head
-- ARGV: most in a window, window in ms, tenant, limit, maxlen, hint, maxlen of changes, then fields of the entry, an even number
-- Returns whether the question was put: a tenant that asks too much costs no worker and no edge anything.
if redis.call('INCR', KEYS[1]) == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
if tonumber(redis.call('GET', KEYS[1])) > tonumber(ARGV[1]) then
  return 0
end
hint(KEYS[2], KEYS[3], KEYS[4], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
append(KEYS[5], KEYS[6], ARGV[7], {unpack(ARGV, 8)})
return 1
