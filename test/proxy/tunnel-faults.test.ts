import { expect, test } from "bun:test";
import { type TunnelData, tunnelHandlers } from "../../src/proxy/tunnel.ts";

test("a fault while a tunnel is served ends that tunnel with 1011, and is not hidden", () => {
  const fault = new Error("ours");
  const fail = () => {
    throw fault;
  };
  const data: TunnelData = {
    open: fail,
    message: fail,
    drain: fail,
    ping: fail,
    pong: fail,
    close: fail,
  };
  const closed: (number | undefined)[] = [];
  const client = { data, close: (code?: number) => closed.push(code) };
  const served = client as unknown as Bun.ServerWebSocket<TunnelData>;
  const payload = Buffer.from("x");
  expect(() => tunnelHandlers.message?.(served, "x")).toThrow(fault);
  expect(() => tunnelHandlers.drain?.(served)).toThrow(fault);
  expect(() => tunnelHandlers.ping?.(served, payload)).toThrow(fault);
  expect(() => tunnelHandlers.pong?.(served, payload)).toThrow(fault);
  expect(closed).toEqual([1011, 1011, 1011, 1011]);
});
