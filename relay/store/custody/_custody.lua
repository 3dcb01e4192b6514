-- needs: audit_log, entry, hint
-- A write of custody appends to the tenant's audit log and to the worker's inbox in the same step, so that a crash
-- cannot separate them. It appends the entry if it performed the deed. It appends the hint unless custody is on a
-- separate server; the hint then follows in a separate step.
local function write_audit(kind)
  append_audit(audit_log, entry, kind)
end
local function write_hint()
  if hint ~= '' then
    append_hint(hint)
  end
end
