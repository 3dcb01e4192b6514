-- Append entries to a tenant's audit log; none to the log of a tenant that is gone, because it went with it. `once_since` is for an
-- entry that is written in a second step and may be repeated: one of the same kind about the same subject is not appended again. At
-- most 1,000 entries are looked at for that: 700 us.
-- uses: audit
local audit_log = KEYS[1]
local tenant = ARGV[1]  -- a key in the same slot, which whoever appends may only read
local once_since = ARGV[2]  -- the id from which on the same entry is looked for; empty: it is not
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
