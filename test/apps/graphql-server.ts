/**
 * A GraphQL server with subscriptions over WebSocket, by the protocol `graphql-transport-ws`.
 *
 * Run by itself as a child: `bun graphql-server.ts PORT`
 *
 * @module
 */
import {
  GraphQLInt,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
} from "graphql";
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from "graphql-ws";
import { handleProtocols, makeHandler } from "graphql-ws/use/bun";

type Told = { readonly user: string };

async function* countTo(last: number): AsyncGenerator<{ readonly count: number }> {
  for (let count = 1; count <= last; count++) {
    yield { count };
    await Bun.sleep(100);
  }
}

const schema = new GraphQLSchema({
  query: new GraphQLObjectType<unknown, Told>({
    name: "Query",
    fields: { user: { type: GraphQLString, resolve: (_, _args, { user }) => user } },
  }),
  subscription: new GraphQLObjectType<unknown, Told>({
    name: "Subscription",
    fields: {
      count: {
        type: GraphQLInt,
        args: { to: { type: new GraphQLNonNull(GraphQLInt) } },
        subscribe: (_, { to }: { to: number }) => countTo(to),
      },
    },
  }),
});

Bun.serve<Told>({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  fetch(request, server) {
    if (!handleProtocols(request.headers.get("sec-websocket-protocol") ?? "")) {
      return new Response("Upgrade Required", { status: 426 });
    }
    const isUpgraded = server.upgrade(request, {
      headers: { "Sec-WebSocket-Protocol": GRAPHQL_TRANSPORT_WS_PROTOCOL },
      data: { user: request.headers.get("x-user") ?? "nobody" },
    });
    return isUpgraded ? undefined : new Response("Bad Request", { status: 400 });
  },
  websocket: makeHandler({
    schema,
    context: ({ extra }) => (extra.socket as unknown as Bun.ServerWebSocket<Told>).data,
  }) as unknown as Bun.WebSocketHandler<Told>,
});
