-- Merge acts into the operators' log, in order of time. Returns how many were added.
local operator_log = KEYS[1]
local oldest_ms = ARGV[1]  -- older acts are skipped
local most = ARGV[2]  -- most acts; the oldest beyond that are deleted
local first_act = 3  -- ARGV[3...]: id and content of each act

local acts, places, back = {}, {}, 0
local function place(id, fields)
  local ms, number = string.match(id, '(%d+)-(%d+)')
  places[id] = {tonumber(ms), tonumber(number)}
  acts[#acts + 1] = {id, fields}
end
for _, there in ipairs(redis.call('XRANGE', operator_log, '-', '+')) do
  place(there[1], there[2])
end
for i = first_act, #ARGV, 2 do
  local id = ARGV[i]
  if not places[id] and tonumber(string.match(id, '%d+')) >= tonumber(oldest_ms) then
    place(id, {'a', ARGV[i + 1]})
    back = back + 1
  end
end
if back == 0 then
  return 0
end
table.sort(acts, function(one, other)
  local a, b = places[one[1]], places[other[1]]
  return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])
end)
redis.call('DEL', operator_log)
for i = math.max(1, #acts - tonumber(most) + 1), #acts do
  redis.call('XADD', operator_log, acts[i][1], unpack(acts[i][2]))
end
return back
