import { allow, definePolicy, deny, inRange, Type } from "claimgate";

const ranges = (description: string) =>
  Type.Optional(Type.Array(Type.String({ format: "cidr" }), { minItems: 1, description }));

/**
 * Lets callers pass by the network they come from. `deny` comes first; with `allow`, only
 * callers in one of its ranges pass. The address is the client's as the gate sees it: behind
 * a proxy that needs `trustedProxies`. A caller over a unix socket is in no range.
 */
export default definePolicy({
  description: "Lets callers from the given networks pass",
  options: Type.Object(
    {
      allow: ranges("Networks that pass, like 10.0.0.0/8"),
      deny: ranges("Networks that do not, even within those that do"),
    },
    { minProperties: 1, description: "Name networks with allow or deny" },
  ),
  evaluate({ client, options }) {
    if (options.deny !== undefined && inRange(client.ip, options.deny)) {
      return deny("network_refused", "the client's address is in a network that is denied");
    }
    if (options.allow !== undefined && !inRange(client.ip, options.allow)) {
      return deny("network_refused", "the client's address is in none of the networks allowed");
    }
    return allow();
  },
  cases: [
    {
      name: "from the office",
      options: { allow: ["10.0.0.0/8", "2001:db8::/32"] },
      client: { ip: "10.1.2.3" },
      expect: "allow",
    },
    {
      name: "from the office by IPv6",
      options: { allow: ["10.0.0.0/8", "2001:db8::/32"] },
      client: { ip: "2001:db8::7" },
      expect: "allow",
    },
    {
      name: "from elsewhere",
      options: { allow: ["10.0.0.0/8", "2001:db8::/32"] },
      client: { ip: "192.0.2.1" },
      expect: "deny network_refused",
    },
    {
      name: "deny goes before allow",
      options: { allow: ["10.0.0.0/8"], deny: ["10.9.0.0/16"] },
      client: { ip: "10.9.8.7" },
      expect: "deny network_refused",
    },
    {
      name: "only deny: everyone else passes",
      options: { deny: ["10.9.0.0/16"] },
      client: { ip: "192.0.2.1" },
      expect: "allow",
    },
    {
      name: "one address",
      options: { allow: ["192.0.2.7"] },
      client: { ip: "192.0.2.7" },
      expect: "allow",
    },
    {
      name: "the first and the last address of a range",
      options: { allow: ["192.0.2.128/25"] },
      client: { ip: "192.0.2.255" },
      expect: "allow",
    },
    {
      name: "the address before a range",
      options: { allow: ["192.0.2.128/25"] },
      client: { ip: "192.0.2.127" },
      expect: "deny network_refused",
    },
    {
      name: "an IPv4 address in IPv6 clothes",
      options: { deny: ["10.0.0.0/8"] },
      client: { ip: "::ffff:10.0.0.1" },
      expect: "deny network_refused",
    },
    {
      name: "a unix socket is in no range",
      options: { allow: ["0.0.0.0/0", "::/0"] },
      client: { ip: "unix" },
      expect: "deny network_refused",
    },
  ],
});
