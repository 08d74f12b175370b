import { allow, definePolicy, deny, Type } from "claimgate";

/** A word that long is no speech: a token or a key that was pasted is not recorded whole. */
const WORD_LIMIT = 40;
const REASON_LIMIT = 200;

/**
 * Lets holders of a role pass in an emergency who say why, in a header. The reason is recorded
 * with the decision, and the token is marked as unusual. Put it last in an `any`, after what lets
 * people pass on ordinary days.
 */
export default definePolicy({
  description: "Lets holders of a role pass in an emergency who give a reason, and records it",
  claims: Type.Object({ roles: Type.Optional(Type.Unknown()) }),
  options: Type.Object({
    anyOf: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: "Roles of which one is enough",
    }),
    header: Type.String({
      default: "X-Break-Glass-Reason",
      format: "header",
      description: "The header that holds the reason",
    }),
    minLength: Type.Integer({
      default: 10,
      minimum: 1,
      maximum: REASON_LIMIT,
      description: "How many characters a reason has at least",
    }),
  }),
  evaluate({ claims, request, options: { anyOf, header, minLength } }) {
    const written = request.headers.get(header);
    if (written === null) return deny("reason_missing", `needs a reason in the header ${header}`);
    const roles: readonly unknown[] = Array.isArray(claims.roles) ? claims.roles : [];
    if (!anyOf.some((role) => roles.includes(role))) {
      const detail = `gave a reason without one of the roles: ${anyOf.join(", ")}`;
      return deny("role_missing", detail, { unusual: ["break_glass_refused"] });
    }
    const reason = readable(written);
    if (reason.length < minLength) {
      return deny("reason_too_short", `the reason in ${header} needs ${minLength} characters`);
    }
    const detail = `emergency access: ${shortened(reason)}`;
    return allow({ detail, unusual: ["break_glass"] });
  },
  cases: [
    {
      name: "a role and a reason",
      options: { anyOf: ["sre"] },
      claims: { roles: ["sre"] },
      request: { headers: { "X-Break-Glass-Reason": "INC-42: database is down" } },
      expect: "allow",
    },
    {
      name: "no reason",
      options: { anyOf: ["sre"] },
      claims: { roles: ["sre"] },
      expect: "deny reason_missing",
    },
    {
      name: "a reason that says nothing",
      options: { anyOf: ["sre"] },
      claims: { roles: ["sre"] },
      request: { headers: { "X-Break-Glass-Reason": "help" } },
      expect: "deny reason_too_short",
    },
    {
      name: "a reason of white space",
      options: { anyOf: ["sre"] },
      claims: { roles: ["sre"] },
      request: { headers: { "X-Break-Glass-Reason": `a${"\u00a0 \t".repeat(20)}b` } },
      expect: "deny reason_too_short",
    },
    {
      name: "no role",
      options: { anyOf: ["sre", "admin"] },
      claims: { roles: ["staff"] },
      request: { headers: { "X-Break-Glass-Reason": "INC-42: database is down" } },
      expect: "deny role_missing",
    },
    {
      name: "a token without roles",
      options: { anyOf: ["sre"] },
      request: { headers: { "X-Break-Glass-Reason": "INC-42: database is down" } },
      expect: "deny role_missing",
    },
    {
      name: "another header, another length",
      options: { anyOf: ["sre"], header: "X-Ticket", minLength: 5 },
      claims: { roles: ["sre"] },
      request: { headers: { "X-Ticket": "INC-1" } },
      expect: "allow",
    },
    {
      name: "the usual header where another is asked for",
      options: { anyOf: ["sre"], header: "X-Ticket" },
      claims: { roles: ["sre"] },
      request: { headers: { "X-Break-Glass-Reason": "INC-42: database is down" } },
      expect: "deny reason_missing",
    },
  ],
});

/** One line without anything that a terminal or a log could take for more than text. */
function readable(header: string): string {
  return textOf(header)
    .replaceAll(/[\p{C}\p{Z}]+/gu, " ")
    .trim();
}

/** Header values come as bytes, one a character; most of them are UTF-8. */
function textOf(header: string): string {
  const bytes = Uint8Array.from(header, (character) => character.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return header; // then it is Latin-1, which it is already
  }
}

function shortened(reason: string): string {
  const words = reason.split(" ").map((word) => cut(word, WORD_LIMIT));
  return cut(words.join(" "), REASON_LIMIT);
}

function cut(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit - 1).toWellFormed()}…` : text;
}
