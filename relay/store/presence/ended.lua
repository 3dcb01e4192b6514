-- uses: append
-- KEYS: changes, head  ARGV: maxlen, tenant, key id or empty for the whole tenant
return append(KEYS[1], KEYS[2], ARGV[1], {'e', ARGV[2], 'k', ARGV[3]})
