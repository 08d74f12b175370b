/**
 * A program whose policies get something else than what a live request has: made-up answers, or
 * an eye on what they look at.
 *
 * @module
 */
import type { Leaf, Node, Program } from "./compose.ts";
import type { LoadedPolicy } from "./load.ts";

/**
 * @param adapt Called for each place where a policy is named; what it gives keeps a cache of its own.
 * @returns Another program; the given one is left as it is.
 */
export function adaptPolicies(program: Program, adapt: (leaf: Leaf) => LoadedPolicy): Program {
  const leaves: Leaf[] = [];
  const visit = (node: Node): Node => {
    switch (node.kind) {
      case "policy": {
        const leaf = { ...node, policy: adapt(node) };
        leaves.push(leaf);
        return leaf;
      }
      case "all":
      case "any":
        return { ...node, of: node.of.map(visit) };
      case "not":
      case "shadow":
        return { ...node, of: visit(node.of) };
    }
  };
  return { ...program, root: visit(program.root), leaves, fits: new WeakMap() };
}

/**
 * @param members Looked up anew at each access.
 * @returns A view of `target` in which these members stand for its own.
 */
export function overlay<T extends object>(
  target: T,
  members: { readonly [M in keyof T]?: () => T[M] },
): T {
  return new Proxy(target, {
    get(own, name) {
      const instead = Object.hasOwn(members, name) ? members[name as keyof T] : undefined;
      // Getters of the target know its private members only as themselves.
      return instead === undefined ? Reflect.get(own, name, own) : instead();
    },
  });
}
