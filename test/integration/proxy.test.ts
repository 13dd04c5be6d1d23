/** The only way out of a cage, in a network of the test's own. What counts is what a server heard, and what the resolver was asked. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { NetworkStage, NO_NETWORK } from "../support/network.ts";

const why = NO_NETWORK === null ? "" : ` (skipped: ${NO_NETWORK})`;
const ALLOWED = [
  { host: "allowed.example", port: 443, scheme: "https" },
  { host: "allowed.example", port: 80, scheme: "http" },
] as const;
/** The address of the proxy without its scheme, for tools that are told by an option. */
const SOCKS = `socks5h://\${HTTP_PROXY#http://}`;

describe.skipIf(NO_NETWORK !== null)(`a cage with a network${why}`, () => {
  let stage: NetworkStage;
  beforeAll(async () => {
    stage = new NetworkStage();
    await stage.start();
  });
  afterAll(async () => await stage[Symbol.asyncDispose]());

  test.each([
    ["a tunnel with TLS inside", "curl -sS --cacert ca.pem https://allowed.example/", "192.0.2.10 443", "connect"],
    ["plain HTTP", "curl -sS http://allowed.example/", "192.0.2.10 80", "http"],
    ["TLS through SOCKS", `curl -sS --cacert ca.pem --proxy ${SOCKS} https://allowed.example/`, "192.0.2.10 443", "socks"],
    ["plain HTTP through SOCKS", `curl -sS --proxy ${SOCKS} http://allowed.example/`, "192.0.2.10 80", "socks"],
  ])("reaches what its call named: %s", async (_name, script, place, kind) => {
    const { code, out, heard, network } = await stage.play({ script, hosts: ALLOWED });
    expect({ code, out }).toEqual({ code: 0, out: `you reached ${place.replace(" ", " port ")}\n` });
    expect(Object.keys(heard)).toEqual([place]);
    expect(network?.requests).toMatchObject([{ kind, host: "allowed.example", verdict: "allowed", rule: "test" }]);
  });

  test.each([
    ["a tunnel to another name", "curl -sS https://other.example/", "proxy.unnamed"],
    ["another name in plain HTTP", "curl -sS http://other.example/", "proxy.unnamed"],
    ["another name through SOCKS", `curl -sS --proxy ${SOCKS} http://other.example/`, "proxy.unnamed"],
  ])("reaches nothing else, and its name is not even looked up: %s", async (_name, script, rule) => {
    const { heard, asked, network } = await stage.play({ script, hosts: ALLOWED });
    expect({ heard, asked }).toEqual({ heard: {}, asked: [] });
    expect(network?.requests).toMatchObject([{ host: "other.example", verdict: "refused", rule }]);
  });
});
