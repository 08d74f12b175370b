/**
 * Reads `*.scenarios.yaml`, or says everything that is wrong in it.
 *
 * @module
 */
import { openReport, type Report } from "../../config/report.ts";
import type { Config, YamlPath } from "../../config/resolved.ts";
import { fit } from "../../config/shape.ts";
import { readSource, type Source } from "../../config/source.ts";
import type { Finding } from "../../errors.ts";
import type { Place } from "../../gate/geo.ts";
import { RESERVED_PREFIX } from "../../gate/reserved.ts";
import { suggest } from "../../lib/suggest.ts";
import { historyOfCase } from "../../policy/case-history.ts";
import { err, ok, type Result } from "../../result.ts";
import type { Location } from "../../types.ts";
import {
  FROM_HERE,
  madeUpRequest,
  readAddress,
  readMethod,
  readTime,
  readUrl,
} from "../explain/request.ts";
import {
  type Expected,
  type Scenario,
  ScenarioSchema,
  ScenariosSchema,
  type WrittenScenario,
} from "./scenario.ts";

/** What scenarios may name. */
type Names = {
  readonly issuers: readonly string[];
  readonly policies: readonly string[];
};

/** As cases of policies have it: a Monday, the same on every run. */
const USUAL_TIME = Date.UTC(2026, 0, 5, 12);

export function namesOf(config: Config, policies: Iterable<string>): Names {
  return { issuers: config.issuers.map(({ name }) => name), policies: [...policies] };
}

/**
 * @param file As findings show it.
 * @param nowMs When a real token arrives that has no `at`.
 * @returns All of them, or every finding in order of place.
 */
export function readScenarios(
  file: string,
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
  names: Names,
  nowMs: number,
): Result<readonly Scenario[], readonly Finding[]> {
  const source = readSource(text, environment);
  const report = openReport(file, source);
  if (source.isBroken) return err(report.findings());
  const items = itemsOf(source, report);
  const scenarios = items.map((item, index) => {
    const path = ["scenarios", index];
    const before = report.findings().length;
    const written = fit(ScenarioSchema, item, path, source, report);
    if (report.findings().length > before) return undefined;
    const reading = new ScenarioReading(written as WrittenScenario, path, report, names);
    return reading.read(file, source.positionOf(path).line, nowMs);
  });
  const findings = report.findings();
  if (findings.length > 0) return err(findings);
  return ok(scenarios.filter((one) => one !== undefined));
}

function itemsOf(source: Source, report: Report): readonly unknown[] {
  const { value } = source;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    report.at([], {
      code: "type_wrong",
      message: "a file of scenarios is a map with a list in it",
      fix: "begin with scenarios:",
    });
    return [];
  }
  const content = fit(ScenariosSchema, value, [], source, report);
  return (content as { scenarios?: readonly unknown[] }).scenarios ?? [];
}

/** What the schema cannot say of one scenario. */
class ScenarioReading {
  constructor(
    readonly written: WrittenScenario,
    readonly path: YamlPath,
    readonly report: Report,
    readonly names: Names,
  ) {}

  read(file: string, line: number, nowMs: number): Scenario | undefined {
    const { written } = this;
    const { name, issuer, claims, token, secrets, fetch, device, request } = written;
    this.#checkCredential();
    this.#checkAnswers();
    const usual = token === undefined ? USUAL_TIME : nowMs;
    const atMs = written.at === undefined ? usual : this.#take(["at"], readTime(written.at));
    const url = this.#take(["request", "url"], readUrl(request.url));
    const method = this.#take(["request", "method"], readMethod(request.method ?? "GET"));
    const address = this.#take(["request", "ip"], readAddress(request.ip ?? FROM_HERE));
    const headers = this.#headers(["request", "headers"], request.headers ?? {});
    if (url?.pathname.startsWith(RESERVED_PREFIX)) {
      this.#refuse(
        ["request", "url"],
        `paths under ${RESERVED_PREFIX} are the gate's own: no route decides there`,
        "name a path of a route",
      );
    }
    const place = this.#place();
    const expect = this.#expected();
    if (atMs === undefined || url === undefined || method === undefined) return undefined;
    if (address === undefined || headers === undefined) return undefined;
    const history = this.#history(atMs);
    return {
      name,
      file,
      line,
      request: madeUpRequest({ url, method, headers, address, nowMs: atMs }),
      issuer,
      ...(claims && { claims }),
      ...(token !== undefined && { token: token.trim().replace(/^Bearer +/i, "") }),
      ...(place && { place }),
      ...(device && { device }),
      ...(history && { history }),
      ...(secrets && { secrets }),
      ...(fetch && { fetch }),
      expect,
    };
  }

  #refuse(path: YamlPath, message: string, fix: string): undefined {
    this.report.at([...this.path, ...path], { code: "scenario_invalid", message, fix });
    return undefined;
  }

  #take<T>(path: YamlPath, read: Result<T, string>): T | undefined {
    if (read.ok) return read.value;
    const name = String(path.at(-1));
    return this.#refuse(path, `${name} ${read.error}`, `mend ${name}`);
  }

  #named(path: YamlPath, what: string, word: string, known: readonly string[]): void {
    if (known.includes(word)) return;
    const meant = suggest(word, known);
    const message = `there is no ${what} ${JSON.stringify(word)}`;
    const list =
      known.length === 0 ? `there is no ${what} at all` : `use one of: ${known.join(", ")}`;
    this.#refuse(path, message, meant === undefined ? list : `did you mean ${meant}?`);
  }

  #checkCredential(): void {
    const { claims, token, issuer } = this.written;
    if (claims !== undefined && token !== undefined) {
      this.#refuse(["token"], "claims and token exclude each other", "keep one");
    }
    if (issuer === undefined) return;
    if (claims === undefined) {
      this.#refuse(
        ["issuer"],
        "issuer says whose claims these are, and there are none",
        "add claims",
      );
    } else this.#named(["issuer"], "issuer", issuer, this.names.issuers);
  }

  #checkAnswers(): void {
    for (const [url, { status = 200, body, json, headers }] of Object.entries(
      this.written.fetch ?? {},
    )) {
      const path = ["fetch", url];
      if (status < 200 || status > 599)
        this.#refuse([...path, "status"], "status is from 200 to 599", "write 200");
      if (body !== undefined && json !== undefined) {
        this.#refuse([...path, "json"], "body and json exclude each other", "keep one");
      }
      this.#headers([...path, "headers"], headers ?? {});
    }
  }

  #headers(path: YamlPath, written: Readonly<Record<string, string>>): Headers | undefined {
    const headers = new Headers();
    for (const [name, value] of Object.entries(written)) {
      try {
        headers.append(name, value);
      } catch {
        // The message of Headers quotes the value.
        return this.#refuse(
          [...path, name],
          `${name} is no header, or its value fits none`,
          "mend it",
        );
      }
    }
    return headers;
  }

  #place(): Place | undefined {
    const { country, location } = this.written;
    if (country === undefined && location === undefined) return undefined;
    if (country !== undefined && !/^[A-Z]{2}$/.test(country)) {
      this.#refuse(["country"], "country is two capital letters (ISO 3166-1)", "write it like AT");
    }
    if (location === undefined) return { ...(country !== undefined && { country }) };
    this.#checkDegrees(["location"], location);
    return { ...(country !== undefined && { country }), location: location as Location };
  }

  #checkDegrees(path: YamlPath, written: Readonly<Record<string, unknown>>): void {
    for (const [name, most] of [
      ["latitude", 90],
      ["longitude", 180],
    ] as const) {
      const value = written[name];
      if (typeof value === "number" && Math.abs(value) <= most) continue;
      this.#refuse(
        [...path, name],
        `${name} is a number from -${most} to ${most}`,
        "write degrees",
      );
    }
  }

  #history(nowMs: number) {
    const { history } = this.written;
    if (history === undefined) return undefined;
    for (const [index, { location }] of (history.addresses ?? []).entries()) {
      if (location) this.#checkDegrees(["history", "addresses", index, "location"], location);
    }
    try {
      // Degrees were checked above; all else is of the types that cases have.
      return historyOfCase(history as Parameters<typeof historyOfCase>[0], nowMs);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return this.#refuse(["history"], error.message, "mend history");
    }
  }

  #expected(): Expected {
    const { upstreamHeaders, ...expect } = this.written.expect;
    const { decision, policy } = expect;
    if (Object.keys(this.written.expect).length === 0) {
      this.#refuse(
        ["expect"],
        "expect is empty: any decision would do",
        "write decision: forward, or deny",
      );
    }
    if (policy !== undefined)
      this.#named(["expect", "policy"], "policy", policy, this.names.policies);
    const ofDenials = (["status", "code", "policy", "reason"] as const).find(
      (key) => expect[key] !== undefined,
    );
    if (decision === "forward" && ofDenials !== undefined) {
      this.#refuse(
        ["expect", ofDenials],
        `what is forwarded has no ${ofDenials} of the gate's`,
        `remove it, or expect deny`,
      );
    }
    if (upstreamHeaders === undefined) return expect;
    if (decision === "deny" || ofDenials !== undefined) {
      this.#refuse(
        ["expect", "upstreamHeaders"],
        "what is denied has no upstreamHeaders",
        "remove them, or expect forward",
      );
    }
    for (const [name, value] of Object.entries(upstreamHeaders)) {
      if (typeof value === "string" || value === null) continue;
      this.#refuse(
        ["expect", "upstreamHeaders", name],
        `${name} must be text, or null where it must not be sent`,
        "put it in quotes",
      );
    }
    return { ...expect, upstreamHeaders: upstreamHeaders as Record<string, string | null> };
  }
}
