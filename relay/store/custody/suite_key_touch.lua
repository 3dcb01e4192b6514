-- Record the use of a suite key and the program, at most once in an interval.
local use = KEYS[1]
local now_ms = ARGV[1]
local every_ms = ARGV[2]  -- minimum interval between two records
local every_changed_ms = ARGV[3]  -- the same if the program has changed
local client = ARGV[4]  -- the program's name
local client_version = ARGV[5]
local suite_key = ARGV[6]  -- a key in the same slot; an argument, because callers may only read it

if redis.call('EXISTS', suite_key) == 0 then
  return 0
end
local known = redis.call('HMGET', use, 'last_used', 'client', 'client_version')
local changed = (known[2] or '') ~= client or (known[3] or '') ~= client_version
if now_ms - tonumber(known[1] or '0') < tonumber(changed and every_changed_ms or every_ms) then
  return 0
end
redis.call('HSET', use, 'last_used', now_ms, 'client', client, 'client_version', client_version)
return 1
