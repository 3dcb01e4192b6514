-- Record the use of a grant. Never recreates a deleted grant, and never sets a time back: two workers may call this
-- during a takeover.
local grant = KEYS[1]
local last_use_ms = ARGV[1]
local last_success_ms = ARGV[2]  -- 0: not known

if redis.call('HEXISTS', grant, 'version') == 0 then
  return 0
end
local function advance(field, ms)
  if tonumber(ms) > tonumber(redis.call('HGET', grant, field) or '0') then
    redis.call('HSET', grant, field, ms)
  end
end
advance('last_use', last_use_ms)
advance('last_success', last_success_ms)
return 1
