/** The part of npm oidc-provider that is used here; the package brings no types. */
declare module "oidc-provider" {
  import type { Server } from "node:http";

  // biome-ignore lint/style/noDefaultExport: the package has nothing else
  export default class Provider {
    constructor(issuer: string, configuration: object);
    on(event: "server_error", listener: (context: unknown, error: Error) => void): this;
    listen(port: number, hostname: string, listening: () => void): Server;
  }
}
