-- KEYS: grant  ARGV: last use in ms, last success in ms (0: not known)
-- Never brings a grant back that is gone, and never puts a time back: two workers may touch while one takes over.
if redis.call('HEXISTS', KEYS[1], 'version') == 0 then
  return 0
end
for i, name in ipairs({'last_use', 'last_success'}) do
  if tonumber(ARGV[i]) > tonumber(redis.call('HGET', KEYS[1], name) or '0') then
    redis.call('HSET', KEYS[1], name, ARGV[i])
  end
end
return 1
