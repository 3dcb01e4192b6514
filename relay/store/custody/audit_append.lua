-- uses: audit
-- KEYS: log  ARGV: tenant (a key in the same slot, which who appends may read only), once (an id before which the same entry is not looked for, or ''), entry, ...
-- Nothing is appended for a tenant that is gone: its log went with it. `once` is for what is told in a second step and may
-- be repeated: an entry of the same kind about the same subject is not told again. The look is bounded: 700 us at most.
if redis.call('HEXISTS', ARGV[1], 'state') == 0 then
  return 0
end
for i = 3, #ARGV do
  local told = false
  if ARGV[2] ~= '' then
    local entry = cjson.decode(ARGV[i])
    for _, found in ipairs(redis.call('XRANGE', KEYS[1], ARGV[2], '+', 'COUNT', 1000)) do
      told = told or (found[2][2] == entry.kind and found[2][4] == entry.subject)
    end
  end
  if not told then
    record(KEYS[1], ARGV[i])
  end
end
return 1
