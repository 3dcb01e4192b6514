-- uses: append, hint
-- KEYS: inbox, head, pending  ARGV: tenant, limit, maxlen, then (weight, payload) pairs
for i = 4, #ARGV, 2 do
  hint(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3], ARGV[i + 1], ARGV[i])
end
return 1
