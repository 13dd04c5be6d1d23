import * as v from "valibot";
import { HOME } from "../bark/cage/argv.ts";
import type { CagePlan, Limits, Mount } from "../bark/cage/types.ts";
import type { FollowingCall, PreparedCall, SkillRefusal } from "../bark/call.ts";
import type { Policy } from "../bark/policy/schema.ts";
import { notPublic } from "../bark/proxy/address.ts";
import { type Asked, askReach } from "../bark/proxy/ask.ts";
import { PROXY_PORT, type Reach } from "../bark/proxy/types.ts";
import { LONGEST_ADDRESS, webAddress, type WebAddress } from "../fetch/address.ts";
import { type FetchReply, type FetchRequest, MOST_PART, readReply, type Refusal } from "../fetch/protocol.ts";
import { mayRead } from "../fetch/robots.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { short } from "./place.ts";
import type { Skill } from "./types.ts";
import type { Executed } from "../bark/outcome.ts";

export interface FetchDeps {
  readonly policy: Policy;
  /** How this program starts itself inside a cage as the one that fetches. */
  readonly program: { readonly argv: readonly string[]; readonly mounts: readonly Mount[] };
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const FetchSchema = v.strictObject({
  url: v.pipe(v.string(), v.minLength(1), v.maxLength(LONGEST_ADDRESS)),
  from: v.optional(v.pipe(count, v.description("first character, from 0, to read on"))),
  length: v.optional(v.pipe(count, v.minValue(1), v.maxValue(MOST_PART), v.description("characters at most"))),
});
type Arguments = v.InferOutput<typeof FetchSchema>;

/** Characters of a page that a model is given unasked. */
const USUAL_PART = 20_000;
/** Sites whose rules are remembered. */
const MOST_SITES = 50;

/**
 * Reads one page of the web in a cage that reaches one host. A redirect leads to a call of its own: whoever was allowed to be asked is not thereby allowed to choose who is
 * asked next.
 */
export function webFetch(deps: FetchDeps): Skill<typeof FetchSchema> {
  const sites = new Map<string, string>();
  return {
    name: "web_fetch",
    description: "Reads a page of the web as Markdown.",
    arguments: FetchSchema,
    tier: 2,
    prepare: (args) => Promise.resolve(prepare(args, deps, sites)),
  };
}

function prepare(args: Arguments, deps: FetchDeps, sites: Map<string, string>): Result<PreparedCall, SkillRefusal> {
  const { policy, program } = deps;
  const parsed = webAddress(args.url);
  if (!parsed.ok) return err({ kind: "bad-arguments", detail: `${short(args.url)} ${parsed.error}.` });
  const address = parsed.value;
  const { href, origin } = address;
  const rules = sites.get(origin);
  if (rules !== undefined && !mayRead(href, rules)) return err({ kind: "unsuitable", detail: sentence("robots", "", href) });
  const limits = policy.skills["web_fetch"]?.limits;
  if (limits === undefined) return err({ kind: "unavailable", detail: "The policy has no limits for web_fetch." });
  const asked = judgeAddress(policy, address);
  if (!asked.ok) return err({ kind: "unavailable", detail: asked.error });
  const { ruling, reach } = asked.value;
  const isListed = ruling.outcome === "allow";
  const request: FetchRequest = { url: href, from: args.from ?? 0, length: args.length ?? USUAL_PART, askRobots: rules === undefined };
  return ok({
    tier: 2,
    operation: "fetch",
    changesState: false,
    object: { kind: "web", name: href, label: { c: 0, k: ["web"], i: 0, p: [] }, reserved: false },
    declassifiable: true,
    // An address says something to whoever is asked. What is on the list takes no messages, and its reader may have seen more than what is public.
    sink: { name: address.authority.host.text, external: true, maxC: isListed ? 1 : 0, listed: false },
    arguments: [{ name: "url", role: "control", value: href, required: isListed ? 0 : 2 }],
    ruled: ruling,
    effect: {
      kind: "process",
      plan: fetchPlan(program, reach, limits),
      stdin: new TextEncoder().encode(JSON.stringify(request)),
      read: (stdout) => readAnswer(readReply(stdout), href),
    },
    resultLabel: { c: 0, k: ["web"], i: 0, p: [href] },
    follow: (executed) => follow(executed, args, deps, sites, origin),
  });
}

/** By name, and by address where that is what was written. What a name leads to is looked at when it is known, by the proxy. */
function judgeAddress(policy: Policy, { origin, authority: { host } }: WebAddress): Result<Asked, string> {
  const asked = askReach(policy, "web_fetch", [origin]);
  const what = host.bytes === null ? null : notPublic(host.bytes);
  if (what === null || !asked.ok) return asked;
  const reason = `${host.text} is no address of the internet: it is ${what}.`;
  return ok({ ...asked.value, ruling: { rule: "host.private", outcome: "deny", reason } });
}

/** The cage of what reads pages. */
export function fetchPlan(program: FetchDeps["program"], reach: Reach, limits: Limits): CagePlan {
  return {
    profile: "web_fetch",
    tier: 2,
    argv: program.argv,
    cwd: "/",
    env: { HOME, TMPDIR: "/tmp", LANG: "C.UTF-8" },
    mounts: program.mounts,
    workspace: null,
    seccomp: "deny+allow",
    network: { kind: "proxy", port: PROXY_PORT, reach },
    limits,
    floor: "namespaces",
  };
}

function follow(
  executed: Executed,
  args: Arguments,
  deps: FetchDeps,
  sites: Map<string, string>,
  origin: string,
): Result<FollowingCall, SkillRefusal> | null {
  const reply = executed.status === "done" && executed.cage !== null ? readReply(new TextDecoder().decode(executed.cage.stdout)) : null;
  if (reply === null || reply.kind === "refused") return null;
  if (reply.rules !== null && sites.size < MOST_SITES) sites.set(origin, reply.rules);
  if (reply.kind !== "redirect") return null;
  const { from = 0, length = USUAL_PART } = args;
  const next = { url: reply.to, from, length };
  const prepared = prepare(next, deps, sites);
  return prepared.ok ? ok({ args: next, prepared: prepared.value }) : prepared;
}

function readAnswer(reply: FetchReply | null, href: string): Result<string, SkillRefusal> {
  if (reply === null) return err({ kind: "failed", detail: `${short(href)} could not be read: the reader ended without an answer.` });
  if (reply.kind === "refused") return err({ kind: "failed", detail: sentence(reply.why, reply.fact, href) });
  if (reply.kind === "redirect") return ok(`${short(href)} leads on to ${short(reply.to)}.`);
  const { title, text, from, total, cut } = reply;
  const next = from + text.length;
  const notes = [
    ...(next < total ? [`(${total - next} more characters; read on with from=${next})`] : []),
    ...(text === "" ? [total === 0 ? "(There is no text on it.)" : `(Its text ends at ${total} characters.)`] : []),
    ...(cut ? ["(The page is longer than is read of one; its end is missing.)"] : []),
  ];
  return ok([...(title === "" ? [] : [title.replaceAll("\n", " ")]), href, "", ...(text === "" ? [] : [text]), ...notes].join("\n"));
}

function sentence(why: Refusal, fact: string, href: string): string {
  const page = short(href);
  switch (why) {
    case "bad-request":
      return `${page} could not be read: the reader did not understand what it was asked.`;
    case "bad-address":
      return `${page} ${short(fact)}.`;
    case "robots":
      return `${page} was not read: the site's robots.txt asks programs not to.`;
    case "robots-unreachable":
      return `${page} was not read: the site's robots.txt could not be had (${short(fact)}), and without it nothing may be read there.`;
    case "unreachable":
      return `${page} cannot be reached: ${short(fact)}.`;
    case "time":
      return `${page} gave no answer in time.`;
    case "status":
      return `${page} answers with HTTP ${short(fact)}.`;
    case "type":
      return fact === ""
        ? `${page} does not say what it is, so it was not read.`
        : `${page} is no text but ${short(fact)}, so it was not read.`;
    case "encoding":
      return `${page} was sent packed in a way that cannot be unpacked: ${short(fact)}.`;
    case "nowhere":
      return `${page} leads on to nothing that can be asked for.`;
  }
}
