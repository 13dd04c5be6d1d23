/** `noctem __fetch`: the process that reads one page of the web, in a cage of its own. A composition root: protocol, wire and standard streams meet here. */
import { version } from "../../package.json";
import { answerAndEnd, proxies, readInput, systemCertificates } from "../platform/fetch/child-io.ts";
import { proxyWire } from "../platform/fetch/wire.ts";
import { hop } from "./hop.ts";
import { type FetchReply, readRequest, refused } from "./protocol.ts";
import { PRODUCT } from "./robots.ts";

/** Milliseconds. Below what its cage allows, so that it can say why there is no page. */
const WALL = 25_000;

export async function fetchMain(): Promise<number> {
  const request = readRequest(await readInput());
  const wire = proxyWire({ proxy: proxies(), certificates: systemCertificates(), wallMs: WALL, agent: `${PRODUCT}/${version}` });
  const reply: FetchReply = request === null ? refused("bad-request") : await hop(request, wire);
  return await answerAndEnd(JSON.stringify(reply));
}

if (import.meta.main) await fetchMain();
