/**
 * Single values that end by themselves, in Redis.
 *
 * | key | holds | kept |
 * | --- | --- | --- |
 * | `value:KEY` | string: `END:VALUE`, the end in ms | until its end |
 * | `values` | sorted set: the keys, by their end | at most `MOST_VALUES`; TTL |
 *
 * Whether one has ended is told by the asking gate's clock, as with everything else that ends; its
 * TTL is only how long Redis has to keep it.
 *
 * @module
 */
import { BEGIN, script } from "./redis-scripts.ts";
import type { RunScript } from "./redis-sightings.ts";
import { LONGEST_VALUE_KEY, MOST_VALUES, type Store } from "./store.ts";
import { assertFits } from "./value-bounds.ts";

type ValueStore = Pick<Store, "get" | "put" | "putNew" | "replace" | "take" | "remove">;

const READ = `
local key, now = prefix .. 'value:' .. ARGV[3], tonumber(ARGV[4])
local stored, there = redis.call('GET', key), false
if stored then
  local colon = string.find(stored, ':', 1, true)
  if tonumber(string.sub(stored, 1, colon - 1)) > now then there = string.sub(stored, colon + 1) end
end
local function remove(name)
  redis.call('DEL', prefix .. 'value:' .. name)
  redis.call('ZREM', prefix .. 'values', name)
end
`;

/** Arguments: key, now. @returns The value, if it is there. */
const GET = script(`${BEGIN}${READ}
return there
`);

/** As `GET`. */
const TAKE_VALUE = script(`${BEGIN}${READ}
if stored then remove(ARGV[3]) end
return there
`);

/**
 * Arguments: key, now, value, end, most, 'any', 'new' or 'same', the expected value.
 * @returns 1 when it was written.
 */
const PUT = script(`${BEGIN}${READ}
local ending, values = tonumber(ARGV[6]), prefix .. 'values'
if ARGV[8] == 'new' and there then return 0 end
if ARGV[8] == 'same' and there ~= ARGV[9] then return 0 end
if ending <= now then
  remove(ARGV[3])
  return 1
end
if not stored then
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', values, '-inf', ARGV[4], 'LIMIT', 0, 100)) do
    remove(name)
  end
  if redis.call('ZCARD', values) >= tonumber(ARGV[7]) then
    return redis.error_reply('CROWDED')
  end
end
local ttl = string.format('%.0f', ending - now)
redis.call('SET', key, ARGV[6] .. ':' .. ARGV[5], 'PX', ttl)
redis.call('ZADD', values, ARGV[6], ARGV[3])
if redis.call('PTTL', values) < tonumber(ttl) then redis.call('PEXPIRE', values, ttl) end
return 1
`);

/** @param most How many the store holds. */
export function openRedisValues(
  run: RunScript,
  now: () => number,
  most: number = MOST_VALUES,
): ValueStore {
  type Condition = readonly ["any" | "new" | "same", string?];

  async function write(
    key: string,
    value: string,
    untilMs: number,
    [when, expected = ""]: Condition,
  ): Promise<boolean> {
    assertFits(key, value);
    const nowMs = now();
    const ending = Math.trunc(untilMs);
    return (await run(PUT, key, nowMs, value, ending, most, when, expected)) === 1;
  }

  async function read(how: typeof GET, key: string): Promise<string | undefined> {
    if (key.length > LONGEST_VALUE_KEY) return undefined;
    const value = await run(how, key, now());
    return typeof value === "string" ? value : undefined;
  }

  return {
    get: (key) => read(GET, key),
    async put(key, value, untilMs) {
      await write(key, value, untilMs, ["any"]);
    },
    putNew: (key, value, untilMs) => write(key, value, untilMs, ["new"]),
    replace: (key, expected, value, untilMs) => write(key, value, untilMs, ["same", expected]),
    take: (key) => read(TAKE_VALUE, key),
    async remove(key) {
      await read(TAKE_VALUE, key);
    },
  };
}
