-- Send a question about a user to the tenant's owner and all edges. Returns 0 without sending it if there were too many
-- questions about the tenant.
-- uses: append, hint
local asked = KEYS[1]  -- counter of questions in the window
local inbox = KEYS[2]
local inbox_head = KEYS[3]
local inbox_pending = KEYS[4]
local changes = KEYS[5]
local changes_head = KEYS[6]
local most_asked = ARGV[1]  -- in one window
local window_ms = ARGV[2]
local tenant_id = ARGV[3]
local most_hints = ARGV[4]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[5]  -- entries that the inbox keeps, about
local hint = ARGV[6]  -- the question to the owner
local changes_length = ARGV[7]  -- entries that `changes` keeps, about
local first_field = 8  -- ARGV[8...]: fields of the entry in `changes`, an even number

if redis.call('INCR', asked) == 1 then
  redis.call('PEXPIRE', asked, window_ms)
end
if tonumber(redis.call('GET', asked)) > tonumber(most_asked) then
  return 0
end
append_hint(hint)
append(changes, changes_head, changes_length, {unpack(ARGV, first_field)})
return 1
