/**
 * The people one can sign in as: a few by name, or anyone who is typed in.
 *
 * @module
 */
import { err, ok, type Result } from "../result.ts";

export type User = {
  /** The `sub` claim. */
  readonly subject: string;
  readonly roles: readonly string[];
};

/** One who may do most, one who may do some, one who may do nothing: what a policy is tried with. */
export const USERS: readonly User[] = [
  { subject: "alice", roles: ["staff", "admin"] },
  { subject: "bob", roles: ["staff"] },
  { subject: "carol", roles: [] },
];

/** OpenID Connect Core §2: `sub` has at most 255 characters. */
const LONGEST_SUBJECT = 255;
const MOST_ROLES = 50;
const LONGEST_ROLE = 128;

/**
 * Reads what was typed into the page.
 *
 * @param roles Separated by commas; blanks around them do not count.
 * @returns The user, or a sentence for the page.
 */
export function readUser(subject: string, roles: string): Result<User, string> {
  const name = subject.trim();
  if (name === "") return err("Type a subject, or pick one of the users.");
  if (name.length > LONGEST_SUBJECT)
    return err(`A subject has at most ${LONGEST_SUBJECT} characters.`);
  const list = readRoles(roles);
  if (!list.ok) return list;
  return hasControls(name)
    ? err("A subject has no control characters.")
    : ok({ subject: name, roles: list.value });
}

/** @returns The roles of a comma list, or a sentence that says what is wrong with it. */
export function readRoles(text: string): Result<readonly string[], string> {
  const roles = text
    .split(",")
    .map((role) => role.trim())
    .filter((role) => role !== "");
  if (roles.length > MOST_ROLES) return err(`A user has at most ${MOST_ROLES} roles.`);
  if (roles.some((role) => role.length > LONGEST_ROLE || hasControls(role))) {
    return err(`A role has at most ${LONGEST_ROLE} characters and no control characters.`);
  }
  return ok(roles);
}

/** What the user's tokens say of them, within the scopes granted (OpenID Connect Core §5.4). */
export function claimsOf(user: User, scopes: readonly string[]): Record<string, unknown> {
  return {
    // An empty list too: then a policy finds a role missing, and not a claim that does not fit.
    roles: user.roles,
    ...(scopes.includes("profile") && { name: user.subject, preferred_username: user.subject }),
    ...(scopes.includes("email") && { email: emailOf(user.subject), email_verified: true }),
  };
}

/** `example.test` belongs to nobody (RFC 2606). */
function emailOf(subject: string): string {
  return subject.includes("@") ? subject : `${encodeURIComponent(subject)}@example.test`;
}

function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
