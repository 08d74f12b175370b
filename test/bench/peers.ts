/**
 * What is measured, each with the plainest configuration that does the job: one worker, kept-alive
 * connections to the same upstream, no log but the gate's.
 *
 * @module
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../support/free-port.ts";
import { findProgram, type Need } from "../support/packages.ts";
import { type Running, start } from "./process.ts";
import { AUDIENCE, ISSUER } from "./tokens.ts";

export type Place = {
  readonly folder: string;
  /** Where the program runs. */
  readonly core: number;
};

type Proxy = Place & { readonly upstreamPort: number };

/** The same small answer for everyone. */
export async function startUpstream({ folder, core }: Place): Promise<Running & { port: number }> {
  const port = freePort();
  const server = `server { listen 127.0.0.1:${port} backlog=1024; location / { default_type text/plain; return 200 "hello from the upstream, in a few words\\n"; } }`;
  const running = await startNginx("upstream", { folder, core, port, http: server });
  return { ...running, port };
}

export function startPlainNginx({ folder, core, upstreamPort }: Proxy): Promise<Running> {
  const port = freePort();
  const http = `
    upstream app { server 127.0.0.1:${upstreamPort}; keepalive 128; keepalive_requests 1000000000; }
    server {
      listen 127.0.0.1:${port} backlog=1024;
      location / {
        proxy_pass http://app;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
      }
    }`;
  return startNginx("nginx", { folder, core, port, http });
}

async function startNginx(
  name: string,
  { folder, core, port, http }: Place & { readonly port: number; readonly http: string },
): Promise<Running> {
  const home = join(folder, name);
  await mkdir(join(home, "temp"), { recursive: true });
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${home}/temp;`)
    .join(" ");
  const file = join(home, "nginx.conf");
  await Bun.write(
    file,
    `daemon off; master_process off; pid ${home}/nginx.pid; error_log stderr warn;
    events { worker_connections 4096; }
    http { access_log off; keepalive_requests 1000000000; ${temp} ${http} }`,
  );
  const command = [program("nginx"), "-p", home, "-c", file, "-e", "stderr"];
  return start({ name, command, core, folder, url: `http://127.0.0.1:${port}/` });
}

export function startPlainHaproxy(proxy: Proxy): Promise<Running> {
  return startHaproxy("haproxy", proxy, "");
}

/** The signature and its algorithm alone are checked: no issuer, audience or expiry. */
export async function startJwtHaproxy(
  proxy: Proxy & { readonly publicPem: string },
): Promise<Running> {
  const keyFile = join(proxy.folder, "public.pem");
  await Bun.write(keyFile, proxy.publicPem);
  return startHaproxy(
    "haproxy jwt_verify",
    proxy,
    `http-request set-var(txn.bearer) http_auth_bearer
    http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
    http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"${keyFile}") 1 }`,
  );
}

async function startHaproxy(
  name: string,
  { folder, core, upstreamPort }: Proxy,
  rules: string,
): Promise<Running> {
  const port = freePort();
  const file = join(folder, `${name.replaceAll(" ", "-")}.cfg`);
  await Bun.write(
    file,
    `global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend front
    bind 127.0.0.1:${port}
    ${rules}
    default_backend app
backend app
    server one 127.0.0.1:${upstreamPort} maxconn 1024
`,
  );
  const command = [program("haproxy"), "-db", "-f", file];
  return start({ name, command, core, folder, url: `http://127.0.0.1:${port}/` });
}

export async function startCaddy({ folder, core, upstreamPort }: Proxy): Promise<Running> {
  const port = freePort();
  const file = join(folder, "Caddyfile");
  await Bun.write(
    file,
    `{
	admin off
	auto_https off
	log {
		level ERROR
	}
}
http://127.0.0.1:${port} {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:${upstreamPort} {
		transport http {
			keepalive_idle_conns 128
			keepalive_idle_conns_per_host 128
		}
	}
}
`,
  );
  return start({
    name: "caddy",
    command: [program("caddy"), "run", "--config", file, "--adapter", "caddyfile"],
    core,
    folder,
    url: `http://127.0.0.1:${port}/`,
    environment: { GOMAXPROCS: "1", HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  });
}

/** The whole gate: full token check, three policies, identity headers, a log line a request. */
export async function startGate(
  proxy: Proxy & {
    readonly jwks: string;
    readonly executable: string;
    /** Of a gate that has ended, to start it once more in its folder. */
    readonly port?: number;
  },
): Promise<Running & { readonly port: number }> {
  const { folder, core, upstreamPort, port = freePort() } = proxy;
  const home = join(folder, `gate-${port}`);
  await mkdir(join(home, "policies"), { recursive: true });
  await Bun.write(join(home, "keys.json"), proxy.jwks);
  await Bun.write(join(home, "policies/staff.ts"), STAFF_POLICY);
  await Bun.write(
    join(home, "claimgate.yaml"),
    `listen: 127.0.0.1:${port}
issuers:
  - name: bench
    issuer: ${ISSUER}
    audiences: ["${AUDIENCE}"]
    jwks: keys.json
    requiredClaims: [sub, roles]
routes:
  - name: app
    match: { path: /* }
    upstream: http://127.0.0.1:${upstreamPort}
    policies:
      - staff
      - require-roles: { anyOf: [admin, staff] }
      - client-network: { allow: [127.0.0.0/8] }
    identityHeaders: { X-User: sub, X-Roles: roles }
`,
  );
  const running = await start({
    name: "claimgate",
    command: [proxy.executable, "serve"],
    core,
    folder: home,
    url: `http://127.0.0.1:${port}/`,
    readyUrl: `http://127.0.0.1:${port}/.claimgate/ready`,
  });
  return { ...running, port };
}

const STAFF_POLICY = `import { allow, definePolicy, deny, Type } from "claimgate";

export default definePolicy({
  description: "Lets staff pass",
  claims: Type.Object({ roles: Type.Array(Type.String()) }),
  evaluate: ({ claims }) => (claims.roles.includes("staff") ? allow() : deny("not_staff")),
  cases: [
    { name: "staff pass", claims: { roles: ["staff"] }, expect: "allow" },
    { name: "others do not", claims: { roles: [] }, expect: "deny not_staff" },
  ],
});
`;

function program(need: Need): string {
  const path = findProgram(need);
  if (path === undefined) throw new Error(`Cannot find ${need}: install it first`);
  return path;
}
