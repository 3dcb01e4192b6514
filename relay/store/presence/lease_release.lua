-- uses: lease
-- KEYS: lease  ARGV: lease value
if holds(KEYS[1], ARGV[1]) then
  redis.call('DEL', KEYS[1])
end
return 1
