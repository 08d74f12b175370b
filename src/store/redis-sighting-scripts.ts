/**
 * What runs inside Redis for what was seen of tokens and sessions.
 *
 * | key | holds | kept |
 * | --- | --- | --- |
 * | `sighting:ID` | string: one token's or session's sighting as JSON | expiry + `ledger.retain` |
 * | `sightings:until` | sorted set: all ids, by their expiry in ms | at most `MOST_SIGHTINGS`; TTL |
 * | `sightings:all` | sorted set: all ids, by when they were last seen | as `sightings:until` |
 * | `sightings:unusual`, `:lint`, `:session` | sorted sets: some of these ids, by the same | as well |
 * | `sightings:subject:HASH` | sorted set: one subject's ids, by the same | the latest 1,000; TTL |
 *
 * @module
 */
import { BEGIN, script } from "./redis-scripts.ts";

/** Before the first sweep has said how long they are kept. */
const FIRST_KEEP_MS = 7 * 24 * 60 * 60_000;

const MOST_OF_SUBJECT = 1_000;

/** As `mergeSightings`; the lists of a fresh one are joined with empty ones, which bounds them. */
const MERGE = `
local function best(list, at, most)
  for i, one in ipairs(list) do one.place = i end
  table.sort(list, function(a, b)
    if a[at] ~= b[at] then return a[at] > b[at] end
    return a.place < b.place
  end)
  local kept = {}
  for i, one in ipairs(list) do
    one.place = nil
    if i <= most then kept[i] = one end
  end
  return kept
end
local function traces(added, there, most)
  local byName, list = {}, {}
  for _, part in ipairs({ added, there }) do
    for _, one in ipairs(part) do
      local known = byName[one.name]
      if not known then
        known = one
        byName[one.name] = known
        list[#list + 1] = known
      else
        local late, early = known, one
        if one.lastMs > known.lastMs then late, early = one, known end
        local country, location = late.country or early.country, late.location or early.location
        local last = late.lastMs
        known.firstMs = math.min(known.firstMs, one.firstMs)
        known.lastMs = last
        known.requests = known.requests + one.requests
        known.country, known.location = country, location
      end
    end
  end
  return best(list, 'lastMs', most)
end
local function signals(added, there)
  local seen, list = {}, {}
  for _, part in ipairs({ added, there }) do
    for _, one in ipairs(part) do
      local key = cjson.encode({ one.signal, one.policy, one.atMs })
      if not seen[key] then
        seen[key] = true
        list[#list + 1] = one
      end
    end
  end
  return best(list, 'atMs', 16)
end
local function words(there, added)
  local seen, list = {}, {}
  for _, part in ipairs({ there, added }) do
    for _, one in ipairs(part) do
      if not seen[one] and #list < 16 then
        seen[one] = true
        list[#list + 1] = one
      end
    end
  end
  return list
end
local function merge(there, added)
  if there then
    local late, early = there, added
    if added.lastMs >= there.lastMs then late, early = added, there end
    if added.requests > added.denials then
      added.deniedInRow = late.deniedInRow
    else
      added.deniedInRow = there.deniedInRow + added.deniedInRow
    end
    local client, jti = late.client or early.client, late.jti or early.jti
    local issued, last = late.issuedAtMs or early.issuedAtMs, late.lastMs
    local busiest = math.max(there.busiestMinute, added.busiestMinute)
    if there.minute == added.minute then
      added.minuteRequests = there.minuteRequests + added.minuteRequests
    elseif added.minute > there.minute then
      busiest = math.max(busiest, there.minuteRequests)
    else
      busiest = math.max(busiest, added.minuteRequests)
      added.minute, added.minuteRequests = there.minute, there.minuteRequests
    end
    added.kind, added.issuer, added.subject = there.kind, there.issuer, there.subject
    added.client, added.jti, added.issuedAtMs, added.lastMs = client, jti, issued, last
    added.busiestMinute = busiest
    added.expiresAtMs = math.max(there.expiresAtMs, added.expiresAtMs)
    added.firstMs = math.min(there.firstMs, added.firstMs)
    added.requests = there.requests + added.requests
    added.denials = there.denials + added.denials
  else
    there = { addresses = {}, devices = {}, routes = {}, lint = {}, unusual = {} }
  end
  added.addresses = traces(added.addresses, there.addresses, 32)
  added.devices = traces(added.devices, there.devices, 16)
  added.routes = traces(added.routes, there.routes, 32)
  added.lint = words(there.lint, added.lint)
  added.unusual = signals(added.unusual, there.unusual)
  return added
end
`;

const REMOVE = `
local sets = { 'until', 'all', 'unusual', 'lint', 'session' }
local function remove(id)
  local stored = redis.call('GET', prefix .. 'sighting:' .. id)
  if stored then
    local of = redis.sha1hex(cjson.decode(stored).subject)
    redis.call('ZREM', prefix .. 'sightings:subject:' .. of, id)
    redis.call('DEL', prefix .. 'sighting:' .. id)
  end
  for _, name in ipairs(sets) do redis.call('ZREM', prefix .. 'sightings:' .. name, id) end
end
`;

/**
 * Arguments: now, most of them, and the sightings as JSON. All are read before any is written.
 *
 * A TTL counts from the caller's clock, which is also the one that has judged the token.
 */
export const NOTE_SIGHTINGS = script(`${BEGIN}${MERGE}${REMOVE}
local now, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local keep = tonumber(redis.call('HGET', meta, 'sightingsKeepMs') or '${FIRST_KEEP_MS}')
local batch = {}
for i = 5, #ARGV do batch[#batch + 1] = cjson.decode(ARGV[i]) end
local function index(name, at, id, ttl)
  local key = prefix .. 'sightings:' .. name
  redis.call('ZADD', key, string.format('%.0f', at), id)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, string.format('%.0f', ttl)) end
  return key
end
for _, added in ipairs(batch) do
  local key = prefix .. 'sighting:' .. added.id
  local stored = redis.call('GET', key)
  local all = merge(stored and cjson.decode(stored), added)
  local ttl = math.max(all.expiresAtMs - now, 0) + keep
  redis.call('SET', key, cjson.encode(all), 'PX', string.format('%.0f', ttl))
  index('until', all.expiresAtMs, all.id, ttl)
  index('all', all.lastMs, all.id, ttl)
  if #all.unusual > 0 then index('unusual', all.lastMs, all.id, ttl) end
  if #all.lint > 0 then index('lint', all.lastMs, all.id, ttl) end
  if all.kind == 'session' then index('session', all.lastMs, all.id, ttl) end
  local of = index('subject:' .. redis.sha1hex(all.subject), all.lastMs, all.id, ttl)
  redis.call('ZREMRANGEBYRANK', of, 0, -${MOST_OF_SUBJECT + 1})
end
local surplus = redis.call('ZCARD', prefix .. 'sightings:until') - most
if surplus > 0 then
  for _, id in ipairs(redis.call('ZRANGE', prefix .. 'sightings:until', 0, surplus - 1)) do
    remove(id)
  end
end
return #batch
`);

/** Arguments: index, how many to pass over, how many. @returns Per entry its JSON, if it is there. */
export const FIND_SIGHTINGS = script(`${BEGIN}
local from, count = tonumber(ARGV[4]), tonumber(ARGV[5])
local ids = redis.call('ZREVRANGE', prefix .. 'sightings:' .. ARGV[3], from, from + count - 1)
local found = {}
for i, id in ipairs(ids) do found[i] = redis.call('GET', prefix .. 'sighting:' .. id) end
return found
`);

/** Arguments: id. @returns Its JSON, if it is there. */
export const GET_SIGHTING = script(`${BEGIN}
return redis.call('GET', prefix .. 'sighting:' .. ARGV[3])
`);

/** Arguments: before, now, how many at most. @returns How many are gone. */
export const SWEEP_SIGHTINGS = script(`${BEGIN}${REMOVE}
local keep = math.max(tonumber(ARGV[4]) - tonumber(ARGV[3]), 0)
redis.call('HSET', meta, 'sightingsKeepMs', string.format('%.0f', keep))
local ids = redis.call('ZRANGEBYSCORE', prefix .. 'sightings:until', '-inf', '(' .. ARGV[3],
  'LIMIT', 0, ARGV[5])
for _, id in ipairs(ids) do remove(id) end
return #ids
`);
