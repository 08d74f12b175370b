import { allow, definePolicy, deny, Type } from "claimgate";

const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
const MINUTES_A_DAY = 24 * 60;
const MS_A_DAY = MINUTES_A_DAY * 60_000;

/** A moment as the wall clock of a place shows it. */
type LocalTime = { readonly minutes: number; readonly midnightMs: number };

const clocks = new Map<string, Intl.DateTimeFormat>();

/** The time zone database knows about daylight saving, so this does not have to. */
function clockOf(timeZone: string): Intl.DateTimeFormat {
  const known = clocks.get(timeZone);
  if (known !== undefined) return known;
  const clock = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  });
  clocks.set(timeZone, clock);
  return clock;
}

function localTime(now: Date, timeZone: string): LocalTime {
  const parts = clockOf(timeZone).formatToParts(now);
  const read = (type: Intl.DateTimeFormatPartTypes) =>
    Number(parts.find((part) => part.type === type)?.value);
  return {
    minutes: read("hour") * 60 + read("minute"),
    // Days are reckoned as if the place were at UTC: only their dates matter.
    midnightMs: Date.UTC(read("year"), read("month") - 1, read("day")),
  };
}

function minutesOf(time: string): number {
  const [hours = "", minutes = ""] = time.split(":");
  return Number(hours) * 60 + Number(minutes);
}

/**
 * Lets requests pass within office hours, by the clock of `timeZone`, daylight saving
 * included. Where `from` is later than `to` the hours go over midnight, and belong to the day on which
 * they began: with `from: "22:00", to: "06:00"` and days from Monday to Friday, Saturday
 * 05:00 is within, Monday 05:00 is not.
 */
export default definePolicy({
  description: "Lets requests pass within office hours",
  options: Type.Object({
    timeZone: Type.String({
      format: "time-zone",
      default: "UTC",
      description: "Whose clock counts, like Europe/Vienna",
    }),
    days: Type.Array(Type.Union(WEEKDAYS.map((day) => Type.Literal(day))), {
      minItems: 1,
      default: ["mon", "tue", "wed", "thu", "fri"],
      description: "Days of the week: mon, tue, wed, thu, fri, sat, sun",
    }),
    from: Type.String({
      pattern: "^([01]\\d|2[0-3]):[0-5]\\d$",
      default: "09:00",
      description: "The first minute that is within, like 09:00",
    }),
    to: Type.String({
      pattern: "^(([01]\\d|2[0-3]):[0-5]\\d|24:00)$",
      default: "17:00",
      description: "The first minute that is not within any more, like 17:00, or 24:00",
    }),
    holidays: Type.Array(Type.String({ format: "date" }), {
      default: [],
      description: "Days without office hours, like 2026-12-24",
    }),
  }),
  evaluate({ now, options: { timeZone, days, from, to, holidays } }) {
    const { minutes, midnightMs } = localTime(now, timeZone);
    const [begin, end] = [minutesOf(from), minutesOf(to)];
    const isOpenOn = (dayMs: number): boolean => {
      const day = new Date(dayMs);
      const weekday = WEEKDAYS[day.getUTCDay()];
      const isHoliday = holidays.includes(day.toISOString().slice(0, 10));
      return weekday !== undefined && days.includes(weekday) && !isHoliday;
    };
    const overMidnight = begin >= end;
    const today = minutes >= begin && (overMidnight || minutes < end) && isOpenOn(midnightMs);
    const sinceYesterday = overMidnight && minutes < end && isOpenOn(midnightMs - MS_A_DAY);
    return today || sinceYesterday
      ? allow()
      : deny("outside_hours", `open ${days.join(", ")} from ${from} to ${to} (${timeZone})`);
  },
  cases: [
    { name: "a Monday at noon", now: "2026-01-05T12:00:00Z", expect: "allow" },
    { name: "the first minute", now: "2026-01-05T09:00:00Z", expect: "allow" },
    { name: "the minute before", now: "2026-01-05T08:59:59Z", expect: "deny outside_hours" },
    { name: "the last minute", now: "2026-01-05T16:59:59Z", expect: "allow" },
    { name: "closing time", now: "2026-01-05T17:00:00Z", expect: "deny outside_hours" },
    { name: "a Sunday", now: "2026-01-04T12:00:00Z", expect: "deny outside_hours" },
    {
      name: "a Sunday that is named",
      options: { days: ["sun"] },
      now: "2026-01-04T12:00:00Z",
      expect: "allow",
    },
    {
      name: "a holiday",
      options: { holidays: ["2026-12-24"] },
      now: "2026-12-24T12:00:00Z",
      expect: "deny outside_hours",
    },
    {
      name: "by the clock of Vienna, in winter",
      options: { timeZone: "Europe/Vienna" },
      now: "2026-01-05T08:00:00Z",
      expect: "allow",
    },
    {
      name: "by the clock of Vienna, in summer",
      options: { timeZone: "Europe/Vienna" },
      now: "2026-07-06T07:00:00Z",
      expect: "allow",
    },
    {
      name: "the same hour of UTC is too early in winter",
      options: { timeZone: "Europe/Vienna" },
      now: "2026-01-05T07:00:00Z",
      expect: "deny outside_hours",
    },
    {
      name: "the day is the place's: Friday night in UTC is Saturday in Tokyo",
      options: { timeZone: "Asia/Tokyo", from: "00:00", to: "24:00" },
      now: "2026-01-09T16:00:00Z",
      expect: "deny outside_hours",
    },
    {
      name: "Sunday night in UTC is Monday in Tokyo",
      options: { timeZone: "Asia/Tokyo", from: "00:00", to: "24:00" },
      now: "2026-01-04T16:00:00Z",
      expect: "allow",
    },
    {
      name: "on the day when clocks go forward",
      options: { timeZone: "Europe/Vienna", days: ["sun"], from: "03:00", to: "04:00" },
      now: "2026-03-29T01:30:00Z",
      expect: "allow",
    },
    {
      name: "on the day when clocks go back, in the hour that comes twice",
      options: { timeZone: "Europe/Vienna", days: ["sun"], from: "02:00", to: "03:00" },
      now: "2026-10-25T01:30:00Z",
      expect: "allow",
    },
    {
      name: "over midnight, before it",
      options: { from: "22:00", to: "06:00" },
      now: "2026-01-05T23:00:00Z",
      expect: "allow",
    },
    {
      name: "over midnight, after it",
      options: { from: "22:00", to: "06:00" },
      now: "2026-01-10T05:59:00Z",
      expect: "allow",
    },
    {
      name: "over midnight, but the hours began on a day that is closed",
      options: { from: "22:00", to: "06:00" },
      now: "2026-01-05T05:00:00Z",
      expect: "deny outside_hours",
    },
    {
      name: "over midnight, by day",
      options: { from: "22:00", to: "06:00" },
      now: "2026-01-05T12:00:00Z",
      expect: "deny outside_hours",
    },
    {
      name: "over midnight after a holiday",
      options: { from: "22:00", to: "06:00", holidays: ["2026-01-05"] },
      now: "2026-01-06T02:00:00Z",
      expect: "deny outside_hours",
    },
    {
      name: "from and to alike are the whole day from then on",
      options: { from: "08:00", to: "08:00" },
      now: "2026-01-10T07:00:00Z",
      expect: "allow",
    },
  ],
});
