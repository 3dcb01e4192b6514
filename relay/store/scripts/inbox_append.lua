-- uses: append, hint
-- KEYS: inbox, head, pending  ARGV: tenant, limit, maxlen, payload
hint(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return 1
