-- A write of custody tells the worker in the same step, so that no crash lies between the two. The hint is empty when
-- custody has a server of its own; it follows then by itself.
-- KEYS: inbox, head, pending, ...  ARGV: hint, tenant, limit, maxlen, ...
local function tell()
  if ARGV[1] ~= '' then
    hint(KEYS[1], KEYS[2], KEYS[3], ARGV[2], ARGV[3], ARGV[4], ARGV[1])
  end
end
