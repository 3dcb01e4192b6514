-- KEYS: edges  ARGV: prefix of the tenant's interest keys
-- The edges whose interest is alive; those that let it expire are removed.
-- The names of the sets follow from the edges' and share their slot.
local alive = {}
for _, edge in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. edge) == 1 then
    alive[#alive + 1] = edge
  else
    redis.call('SREM', KEYS[1], edge)
  end
end
return alive
