/**
 * What runs inside Redis, each script whole or not at all as seen by others. Every script gets
 * `meta` as its first key, and the prefix and a fresh id as its first arguments.
 *
 * Keys, all behind the prefix:
 *
 * | key | holds | kept |
 * | --- | --- | --- |
 * | `meta` | hash: version, id, revision, cutoff, keepMs, `secret:…` | one |
 * | `revoked` | hash: what is revoked → JSON | at most `MOST_REVOCATIONS` |
 * | `revoked:until` | sorted set: what is revoked, by its end in ms | as `revoked` |
 * | `chain:WRITER` | stream: one writer's records, `SEQ-0` | swept; TTL |
 * | `anchor:WRITER` | hash: sweptSeq, sweptMac, lastSeq, lastMac | TTL |
 * | `writers` | sorted set: writers, by the time of their last record | `MOST_WRITERS`; TTL |
 * | `index:…` | sorted sets: `WRITER:SEQ` (padded), by time | trimmed when written to; TTL |
 * | `bucket:…` | string: tokens and the time of that count | until it is full again |
 * | `sighting…` | see `redis-sighting-scripts.ts` | |
 * | `value…` | see `redis-values.ts` | |
 *
 * TTLs are twice what the last sweep kept, and renewed by each write.
 *
 * @module
 */

export type Script = { readonly text: string; readonly sha1: string };

/** The version of the layout above; a newer one is refused. */
export const LAYOUT_VERSION = 1;

/** Before the first sweep has said how long records are kept: 400 days. */
const FIRST_KEEP_MS = 400 * 24 * 60 * 60_000;

export const script = (text: string): Script => ({
  text,
  sha1: new Bun.CryptoHasher("sha1").update(text).digest("hex"),
});

/** Also gives an empty Redis its identity, so that it is told from the one before a failover. */
export const BEGIN = `
local meta, prefix = KEYS[1], ARGV[1]
local version = redis.call('HGET', meta, 'version')
if not version then
  redis.call('HSET', meta, 'version', '${LAYOUT_VERSION}', 'id', ARGV[2], 'revision', '0')
elseif tonumber(version) ~= ${LAYOUT_VERSION} then
  return redis.error_reply('NEWER layout')
end
`;

/** @returns `ID.REVISION` */
export const REVISION = script(`${BEGIN}
local at = redis.call('HMGET', meta, 'id', 'revision')
return at[1] .. '.' .. at[2]
`);

/** Arguments: field, secret. @returns The secret in force. */
export const SECRET = script(`${BEGIN}
redis.call('HSETNX', meta, ARGV[3], ARGV[4])
return redis.call('HGET', meta, ARGV[3])
`);

/**
 * Arguments: per record writer, seq, at, MAC, body, JSON of its index, JSON list of index keys.
 * Everything is looked at before anything is written. Index entries go first: one that leads
 * nowhere is passed over.
 */
export const APPEND = script(`${BEGIN}
local keep = redis.call('HMGET', meta, 'cutoff', 'keepMs')
local cutoff, ttl = keep[1], keep[2] or '${FIRST_KEEP_MS}'
local last, fresh = {}, {}
for i = 3, #ARGV, 7 do
  local writer, seq, mac = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 3]
  if not last[writer] then
    last[writer] = tonumber(redis.call('HGET', prefix .. 'anchor:' .. writer, 'lastSeq') or '0')
  end
  if seq > last[writer] then
    last[writer] = seq
    fresh[#fresh + 1] = i
  else
    local id = ARGV[i + 1] .. '-0'
    local there = redis.call('XRANGE', prefix .. 'chain:' .. writer, id, id)[1]
    if not there or there[2][4] ~= mac then return redis.error_reply('OTHER record') end
  end
end
local touched, newest = {}, {}
for _, i in ipairs(fresh) do
  local writer, seq, at = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local member = writer .. ':' .. string.rep('0', 16 - #seq) .. seq
  for _, name in ipairs(cjson.decode(ARGV[i + 6])) do
    local key = prefix .. 'index:' .. name
    redis.call('ZADD', key, at, member)
    touched[key] = true
  end
  redis.call('XADD', prefix .. 'chain:' .. writer, seq .. '-0',
    'at', at, 'mac', ARGV[i + 3], 'body', ARGV[i + 4], 'index', ARGV[i + 5])
  newest[writer] = i
end
for key in pairs(touched) do
  if cutoff then redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. cutoff) end
  redis.call('PEXPIRE', key, ttl)
end
for writer, i in pairs(newest) do
  local anchor = prefix .. 'anchor:' .. writer
  redis.call('HSETNX', anchor, 'sweptSeq', '0')
  redis.call('HSETNX', anchor, 'sweptMac', '')
  redis.call('HSET', anchor, 'lastSeq', ARGV[i + 1], 'lastMac', ARGV[i + 3])
  redis.call('PEXPIRE', anchor, ttl)
  redis.call('PEXPIRE', prefix .. 'chain:' .. writer, ttl)
  redis.call('ZADD', prefix .. 'writers', ARGV[i + 2], writer)
  redis.call('PEXPIRE', prefix .. 'writers', ttl)
end
return #fresh
`);

/**
 * Arguments: index, latest and earliest time, offset, count. @returns Per entry: member, time, and
 * what lies in the stream.
 */
export const FIND_PAGE = script(`${BEGIN}
local members = redis.call('ZREVRANGEBYSCORE', prefix .. 'index:' .. ARGV[3], ARGV[4], ARGV[5],
  'WITHSCORES', 'LIMIT', ARGV[6], ARGV[7])
local page = {}
for i = 1, #members, 2 do
  local writer, seq = string.match(members[i], '^(.*):0*(%d+)$')
  local id = seq .. '-0'
  local entry = redis.call('XRANGE', prefix .. 'chain:' .. writer, id, id)[1]
  page[#page + 1] = { members[i], members[i + 1], entry or false }
end
return page
`);

/** @returns Per writer: its name, sweptSeq, sweptMac, lastSeq, lastMac. */
export const ANCHORS = script(`${BEGIN}
local found = {}
for _, writer in ipairs(redis.call('ZRANGE', prefix .. 'writers', 0, -1)) do
  local at = redis.call('HMGET', prefix .. 'anchor:' .. writer,
    'sweptSeq', 'sweptMac', 'lastSeq', 'lastMac')
  if at[1] then found[#found + 1] = { writer, at[1], at[2], at[3], at[4] } end
end
return found
`);

/** Arguments: before, now, forgotten before, most writers. @returns The writers to sweep. */
export const BEGIN_SWEEP = script(`${BEGIN}
local before, now = tonumber(ARGV[3]), tonumber(ARGV[4])
local keepMs = math.max(2 * (now - before), 24 * 60 * 60000)
redis.call('HSET', meta, 'cutoff', ARGV[3], 'keepMs', string.format('%.0f', keepMs))
for _, name in ipairs({ 'all', 'denied', 'act' }) do
  redis.call('ZREMRANGEBYSCORE', prefix .. 'index:' .. name, '-inf', '(' .. ARGV[3])
end
local forgotten = redis.call('ZRANGEBYSCORE', prefix .. 'revoked:until', '-inf', ARGV[5])
for _, field in ipairs(forgotten) do
  redis.call('HDEL', prefix .. 'revoked', field)
  redis.call('ZREM', prefix .. 'revoked:until', field)
end
local surplus = redis.call('ZCARD', prefix .. 'writers') - tonumber(ARGV[6])
if surplus > 0 then
  for _, writer in ipairs(redis.call('ZRANGE', prefix .. 'writers', 0, surplus - 1)) do
    local at = redis.call('HMGET', prefix .. 'anchor:' .. writer, 'sweptSeq', 'lastSeq')
    if at[1] == at[2] then
      redis.call('DEL', prefix .. 'anchor:' .. writer, prefix .. 'chain:' .. writer)
      redis.call('ZREM', prefix .. 'writers', writer)
    end
  end
end
return redis.call('ZRANGE', prefix .. 'writers', 0, -1)
`);

/** Arguments: writer, before, at most. @returns How many records are gone. */
export const SWEEP_SOME = script(`${BEGIN}
local chain, before = prefix .. 'chain:' .. ARGV[3], tonumber(ARGV[4])
local last, count = nil, 0
for _, entry in ipairs(redis.call('XRANGE', chain, '-', '+', 'COUNT', ARGV[5])) do
  if tonumber(entry[2][2]) >= before then break end
  last, count = entry, count + 1
end
if not last then return 0 end
local seq = string.match(last[1], '^%d+')
redis.call('HSET', prefix .. 'anchor:' .. ARGV[3], 'sweptSeq', seq, 'sweptMac', last[2][4])
redis.call('XTRIM', chain, 'MINID', string.format('%.0f-0', tonumber(seq) + 1))
return count
`);

/**
 * Merges as `mergeRevocations` does. Arguments: field, at, until, JSON, 'later' or 'earlier' (the
 * time that counts), forgotten before, most. @returns 1 when anything has changed.
 */
export const REVOKE = script(`${BEGIN}
local revoked, untils, field = prefix .. 'revoked', prefix .. 'revoked:until', ARGV[3]
local there = redis.call('HGET', revoked, field)
local till = redis.call('ZSCORE', untils, field)
local json, ending = ARGV[6], tonumber(ARGV[5])
if there and till then
  local old = tonumber(string.match(there, '^{"atMs":(%d+)')) or cjson.decode(there).atMs
  local new = tonumber(ARGV[4])
  local wins = new < old
  if ARGV[7] == 'later' then wins = new > old end
  if not wins then json = there end
  if tonumber(till) >= ending then
    if not wins then return 0 end
    ending = tonumber(till)
  end
else
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', untils, '-inf', ARGV[8], 'LIMIT', 0, 1000)) do
    redis.call('HDEL', revoked, old)
    redis.call('ZREM', untils, old)
  end
  if redis.call('ZCARD', untils) >= tonumber(ARGV[9]) then
    return redis.error_reply('FULL of revocations')
  end
end
redis.call('HSET', revoked, field, json)
redis.call('ZADD', untils, string.format('%.0f', ending), field)
redis.call('HINCRBY', meta, 'revision', 1)
redis.call('PUBLISH', prefix .. 'revocations', '')
return 1
`);

/** Arguments: field. @returns 1 when there was one. */
export const UNREVOKE = script(`${BEGIN}
local removed = redis.call('HDEL', prefix .. 'revoked', ARGV[3])
redis.call('ZREM', prefix .. 'revoked:until', ARGV[3])
if removed == 0 then return 0 end
redis.call('HINCRBY', meta, 'revision', 1)
redis.call('PUBLISH', prefix .. 'revocations', '')
return 1
`);

/**
 * Arguments: cursor, count. @returns The next cursor ("0" at the end); then field, JSON and end in
 * ms, in turn. Whatever is there from the first call to the last is in one of the answers, maybe
 * in two. An evicted half is a fault, not a shorter list.
 */
export const SCAN_REVOCATIONS = script(`${BEGIN}
local revoked, untils = prefix .. 'revoked', prefix .. 'revoked:until'
if redis.call('HLEN', revoked) ~= redis.call('ZCARD', untils) then
  return redis.error_reply('LOST revocations')
end
local scanned = redis.call('HSCAN', revoked, ARGV[3], 'COUNT', ARGV[4])
local found = { scanned[1] }
for i = 1, #scanned[2], 2 do
  local field, till = scanned[2][i], redis.call('ZSCORE', untils, scanned[2][i])
  if not till then return redis.error_reply('LOST revocations') end
  found[#found + 1] = field
  found[#found + 1] = scanned[2][i + 1]
  found[#found + 1] = till
end
return found
`);

/**
 * Token buckets: burst = limit, refilled evenly, and what is refused takes nothing, from none of
 * them. By Redis' own clock, so that gates whose clocks differ are exact together; a clock set
 * back costs at most what was not refilled yet.
 *
 * Keys: the buckets. Arguments: limit and per in ms of each. @returns Of each in turn: allowed,
 * remaining, retry in ms.
 */
export const TAKE = script(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local buckets, refused = {}, false
local function keep(bucket)
  local full = math.ceil((bucket.limit - bucket.tokens) * bucket.per / bucket.limit) + 1
  local level = string.format('%.9f %.3f', bucket.tokens, now)
  redis.call('SET', bucket.key, level, 'PX', full)
end
for i, key in ipairs(KEYS) do
  local limit, per = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local bucket = { key = key, limit = limit, per = per, tokens = limit }
  local stored = redis.call('GET', key)
  if stored then
    local count, at = string.match(stored, '^(%S+) (%S+)$')
    local passed = now - tonumber(at)
    bucket.tokens = math.min(limit, tonumber(count) + math.max(0, passed) * limit / per)
    if passed < 0 then keep(bucket) end
  end
  bucket.allowed = bucket.tokens >= 1 - 1e-6
  refused = refused or not bucket.allowed
  buckets[i] = bucket
end
local answers = {}
for _, bucket in ipairs(buckets) do
  if not refused then
    bucket.tokens = math.max(0, bucket.tokens - 1)
    keep(bucket)
  end
  local retry = 0
  if not bucket.allowed then
    retry = math.ceil((1 - bucket.tokens) * bucket.per / bucket.limit)
  end
  answers[#answers + 1] = bucket.allowed and 1 or 0
  answers[#answers + 1] = math.floor(bucket.tokens + 1e-6)
  answers[#answers + 1] = retry
end
return answers
`);
