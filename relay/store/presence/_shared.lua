-- How many distinct names a tenant's edges watch: the sizes of their sets, less what the sets have in common. The latter is kept
-- in a hash, edge -> how many of its names were at another edge already when they came, less how many still were when they went.
-- An edge that is killed leaves a set behind until it expires; its suites' names are then watched twice, and counted once. When such a
-- set is gone, nobody knows what of it others had: its share is dropped and so is every share below zero. From then on the count may be
-- too low until the edges' suites come and go. It is never too high, so that no suite is refused because of an edge that has died.
local REST = ''  -- of edges that have left in order

local function drop_share(shared, edge)
  redis.call('HDEL', shared, edge)
  local shares = redis.call('HGETALL', shared)
  for i = 1, #shares, 2 do
    if tonumber(shares[i + 1]) < 0 then
      redis.call('HDEL', shared, shares[i])
    end
  end
end
-- The keys of the other edges' sets. Edges that let theirs expire are removed.
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
-- Of which names that pass `wanted` (membership of the own set, 0 or 1) some other edge has how many, and how many no other has.
-- The names are ARGV from `first` on.
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
