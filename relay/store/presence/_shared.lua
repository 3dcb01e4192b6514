-- Count the distinct names that a tenant's edges watch: the sizes of their sets, minus the names that sets have in
-- common. A hash keeps the latter as shares, edge -> number of its names that another edge had when they were added,
-- minus the number that another edge had when they were removed. The set of a killed edge stays until it expires; names
-- that its suites watch on another edge meanwhile count once. When such a set expires, its overlap with other sets is
-- unknown: its share and all shares below zero are dropped. The count may then be too low until names are added and
-- removed again. It is never too high, so that a dead edge never causes a refusal.
local REST = ''  -- the share of edges that have left cleanly

local function drop_share(shared, edge)
  redis.call('HDEL', shared, edge)
  local shares = redis.call('HGETALL', shared)
  for i = 1, #shares, 2 do
    if tonumber(shares[i + 1]) < 0 then
      redis.call('HDEL', shared, shares[i])
    end
  end
end
-- Return the keys of the other edges' sets. Edges whose sets expired are removed.
local function others(edges, shared, prefix, mine)
  local alive = {}
  for _, edge in ipairs(redis.call('SMEMBERS', edges)) do
    if edge ~= mine then
      if redis.call('EXISTS', prefix .. edge) == 1 then
        alive[#alive + 1] = prefix .. edge
      else
        redis.call('SREM', edges, edge)
        drop_share(shared, edge)
      end
    end
  end
  return alive
end
-- Of the names whose membership of the own set is `wanted` (0 or 1), return how many another edge has, and how many no
-- other edge has. The names are ARGV from `first`.
local function count_elsewhere(own, sets, first, wanted)
  local elsewhere, nowhere = 0, 0
  for start = first, #ARGV, CHUNK do
    local last = math.min(start + CHUNK - 1, #ARGV)
    local mine = redis.call('SMISMEMBER', own, unpack(ARGV, start, last))
    local found = {}
    for _, set in ipairs(sets) do
      for i, is_member in ipairs(redis.call('SMISMEMBER', set, unpack(ARGV, start, last))) do
        found[i] = found[i] or is_member == 1
      end
    end
    for i, is_member in ipairs(mine) do
      if is_member == wanted then
        if found[i] then
          elsewhere = elsewhere + 1
        else
          nowhere = nowhere + 1
        end
      end
    end
  end
  return elsewhere, nowhere
end
local function distinct(own, sets, shared)
  local count = redis.call('SCARD', own)
  for _, set in ipairs(sets) do
    count = count + redis.call('SCARD', set)
  end
  for _, share in ipairs(redis.call('HVALS', shared)) do
    count = count - tonumber(share)
  end
  return count
end
