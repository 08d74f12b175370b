/**
 * Programs that some tests and the benchmark need and npm does not have.
 *
 * @module
 */
import { existsSync } from "node:fs";

/** Each is the name of the program and, but for those in PACKAGES, of the Debian package that brings it. */
const PROGRAMS = [
  "nginx",
  "redis-server",
  "chromium",
  "haproxy",
  "caddy",
  "wrk",
  "curl",
  "faketime",
  "git",
  "fcgiwrap",
  "prometheus",
  "node",
] as const;

/** Packages that bring no program of their own, and the file that shows each is there. */
const MODULES = {
  "libnginx-mod-http-dav-ext": "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so",
} as const;

export type Need = (typeof PROGRAMS)[number] | keyof typeof MODULES;

export function isNeed(name: string): name is Need {
  return (PROGRAMS as readonly string[]).includes(name) || isModule(name);
}

function isModule(name: string): name is keyof typeof MODULES {
  return Object.hasOwn(MODULES, name);
}

const PACKAGES: Partial<Record<Need, string>> = { node: "nodejs" };

/** Debian puts servers where only root's PATH looks. */
const SEARCH_PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;

/** @returns Absolute path of the program or module, or `undefined` where it is not installed. */
export function findProgram(need: Need): string | undefined {
  if (isModule(need)) return existsSync(MODULES[need]) ? MODULES[need] : undefined;
  return Bun.which(need, { PATH: SEARCH_PATH }) ?? undefined;
}

/** Package lists and a browser over a slow line; longer than this is a hang. */
const INSTALL_LIMIT_MS = 10 * 60_000;

/**
 * Installs what is missing, where we may: as root, with apt-get.
 *
 * @returns What is still missing, with apt's own words when it failed.
 */
export async function installPackages(
  needs: Iterable<Need>,
): Promise<{ missing: readonly Need[]; log: string }> {
  const wanted = [...new Set(needs)].filter((need) => findProgram(need) === undefined);
  if (wanted.length === 0) return { missing: [], log: "" };
  const apt = Bun.which("apt-get");
  if (apt === null || process.getuid?.() !== 0) return { missing: wanted, log: "" };

  const update = await runApt(apt, ["update"]);
  const packages = wanted.map((need) => PACKAGES[need] ?? need);
  const install = await runApt(apt, ["install", "-y", "--no-install-recommends", ...packages]);
  const missing = wanted.filter((need) => findProgram(need) === undefined);
  return { missing, log: missing.length === 0 ? "" : update + install };
}

async function runApt(apt: string, args: readonly string[]): Promise<string> {
  const child = Bun.spawn([apt, "-q", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: INSTALL_LIMIT_MS,
  });
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return out + error;
}
