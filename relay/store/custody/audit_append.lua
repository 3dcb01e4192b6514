-- Append entries to a tenant's audit log; none for a removed tenant, whose log was deleted. `once_since` is for an
-- entry in a second step that may be repeated: an entry with the same kind and subject is not appended again. The
-- search reads at most 1,000 entries: 700 us.
-- uses: audit
local audit_log = KEYS[1]
local tenant = ARGV[1]  -- a key in the same slot; an argument, because callers may only read it
local once_since = ARGV[2]  -- id from which to search for the same entry; empty: no search
local first_entry = 3  -- ARGV[3...]: entries; see _audit.lua

if redis.call('HEXISTS', tenant, 'state') == 0 then
  return 0
end
for i = first_entry, #ARGV do
  local is_there = false
  if once_since ~= '' then
    local entry = cjson.decode(ARGV[i])
    for _, found in ipairs(redis.call('XRANGE', audit_log, once_since, '+', 'COUNT', 1000)) do
      is_there = is_there or (found[2][2] == entry.kind and found[2][4] == entry.subject)
    end
  end
  if not is_there then
    append_audit(audit_log, ARGV[i])
  end
end
return 1
