import { Type } from "claimgate";

export const SITES = {
  vienna: { timeZone: "Europe/Vienna", eu: true },
  "new-york": { timeZone: "America/New_York", eu: false },
} as const;

export const Site = Type.Union([Type.Literal("vienna"), Type.Literal("new-york")]);

/** What the clock on the wall says there: `{ day: "Mon", time: "18:42" }`. */
export function clockAt(site: keyof typeof SITES, now: Date): { day: string; time: string } {
  const { timeZone } = SITES[site];
  return {
    day: now.toLocaleDateString("en-GB", { timeZone, weekday: "short" }),
    time: now.toLocaleTimeString("en-GB", { timeZone, hour: "2-digit", minute: "2-digit" }),
  };
}
