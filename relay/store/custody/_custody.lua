-- A write of custody tells the worker in the same step, so that no crash lies between the two. The hint is empty when
-- custody has a server of its own; it follows then by itself.
-- It appends to the tenant's audit log in the same step too, if it did what the entry says; see _audit.lua.
-- KEYS: inbox, head, pending, log, ...  ARGV: hint, tenant, limit, maxlen, entry, ...
local function audit(kind)
  record(KEYS[4], ARGV[5], kind)
end
local function tell()
  if ARGV[1] ~= '' then
    hint(KEYS[1], KEYS[2], KEYS[3], ARGV[2], ARGV[3], ARGV[4], ARGV[1])
  end
end
