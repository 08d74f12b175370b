/**
 * Debian's nginx as the application, or in front of one: in a folder of its own, on a free port.
 *
 * @module
 */
import { freePort } from "../support/free-port.ts";
import { findProgram } from "../support/packages.ts";
import { type App, answers, startApp } from "./app-stage.ts";

/**
 * @param server What stands in its `server` block, besides the address.
 * @param folder Absolute; where it keeps what it is sent until it is whole.
 * @param before What stands before all else.
 */
export async function startNginx(
  server: string,
  folder: string,
  before = "",
): Promise<App & { readonly url: string }> {
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  await Bun.write(
    `${folder}/nginx.conf`,
    `${before}
daemon off;
pid .nginx-pid;
error_log stderr warn;
worker_processes 1;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path .nginx-body;
  proxy_temp_path .nginx-proxy;
  fastcgi_temp_path .nginx-fastcgi;
  uwsgi_temp_path .nginx-uwsgi;
  scgi_temp_path .nginx-scgi;
  client_max_body_size 0;
  server {
    listen 127.0.0.1:${port};
    ${server}
  }
}
`,
  );
  const nginx = findProgram("nginx") ?? "nginx";
  const asRoot = process.getuid?.() === 0 ? ["-g", "user root;"] : [];
  const app = await startApp([nginx, "-p", folder, "-e", "stderr", "-c", "nginx.conf", ...asRoot], {
    cwd: folder,
    isUp: answers(url),
  });
  return { ...app, url };
}
