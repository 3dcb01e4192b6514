-- needs: audit_log, entry, hint
-- A write of custody appends to the tenant's audit log and to the worker's inbox in the same step, so that no crash lies between
-- them: the entry if it did what the entry records, the hint unless custody has a server of its own, when it follows by itself.
local function write_audit(kind)
  append_audit(audit_log, entry, kind)
end
local function write_hint()
  if hint ~= '' then
    append_hint(hint)
  end
end
