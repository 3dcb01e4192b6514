-- uses: append, hint, audit, custody
-- KEYS: ..., tenant, requests, sealed request
-- ARGV: ..., account id, request (JSON), sealed consent, how long it waits in ms, now in ms, most that wait, most that are kept
-- Returns 1; 2 when the account's request waited already, or it withdrew one within a day, so that nobody is told twice; 0 when too many wait; -1 without the tenant.
if redis.call('HEXISTS', KEYS[5], 'state') == 0 then
  return -1
end
local waits, now = tonumber(ARGV[9]), tonumber(ARGV[10])
local others, waiting, again, told = {}, 0, false, false
local found = redis.call('HGETALL', KEYS[6])
for i = 1, #found, 2 do
  local request = cjson.decode(found[i + 1])
  local is_waiting = request.state == 'waiting' and request.asked_ms + waits > now
  if found[i] == ARGV[6] then
    again = is_waiting
    told = request.state == 'withdrawn' and request.asked_ms + 86400000 > now
  elseif is_waiting then
    waiting = waiting + 1
  elseif request.asked_ms + 2 * waits <= now then
    redis.call('HDEL', KEYS[6], found[i])
  else
    others[#others + 1] = {request.asked_ms, found[i]}
  end
end
if waiting >= tonumber(ARGV[11]) and not again then
  return 0
end
table.sort(others, function(a, b) return a[1] < b[1] end)
for i = 1, #others + waiting + 1 - tonumber(ARGV[12]) do
  redis.call('HDEL', KEYS[6], others[i][2])
end
redis.call('HSET', KEYS[6], ARGV[6], ARGV[7])
redis.call('SET', KEYS[7], ARGV[8], 'PX', ARGV[9])
if again then
  return 2
end
audit()
tell()
return told and 2 or 1
