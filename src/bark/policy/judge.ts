import type { Scheme } from "../proxy/types.ts";
import type { BarkTier, Outcome } from "../types.ts";
import { parseCommandLine, type SimpleCommand } from "./command.ts";
import type { CommandRule, HostRule, PathRule, Policy } from "./schema.ts";

/** What the policy's data say. */
export interface Ruling {
  readonly rule: string;
  readonly outcome: Outcome;
  readonly reason: string;
}

const STRICTNESS: Readonly<Record<Outcome, number>> = { allow: 0, ask: 1, deny: 2 };
const rulingOf = ({ id, outcome, reason }: { readonly id: string; readonly outcome: Outcome; readonly reason: string }): Ruling => ({
  rule: id,
  outcome,
  reason,
});
const strictest = <T extends Ruling>(rulings: readonly T[]): T | undefined =>
  [...rulings].sort((a, b) => STRICTNESS[b.outcome] - STRICTNESS[a.outcome])[0];

export interface CommandRuling extends Ruling {
  /** 2 where every part is on the list, else 3, or 4 where a part is prohibited. */
  readonly tier: BarkTier;
  /** Of the line, when it could be read. */
  readonly commands: readonly SimpleCommand[] | null;
}

/** Of a command line: as strict as its strictest part, so that nothing hides behind what is allowed. */
export function judgeCommand(policy: Policy, line: string): CommandRuling {
  const parsed = parseCommandLine(line);
  if (parsed.kind === "unreadable")
    return {
      rule: "command.unreadable",
      outcome: "ask",
      reason: `The command cannot be read fully: ${parsed.what}.`,
      tier: 3,
      commands: null,
    };
  const rulings = parsed.commands.flatMap((command) => [
    judgeSimple(policy, command),
    ...judgeWords(policy, command),
    ...judgeRedirections(policy, command),
  ]);
  const { rule, outcome, reason } = strictest(rulings) ?? NO_RULE;
  return { rule, outcome, reason, tier: outcome === "allow" ? 2 : outcome === "ask" ? 3 : 4, commands: parsed.commands };
}

const NO_RULE: Ruling = { rule: "command.unknown", outcome: "ask", reason: "No rule speaks of this command." };

function judgeSimple(policy: Policy, command: SimpleCommand): Ruling {
  const [program = ""] = command.argv;
  // A path names a program that somebody put there, whatever it is called.
  if (program.includes("/"))
    return { rule: "command.path", outcome: "ask", reason: `${program} is named by a path, so it may be anything.` };
  return (
    strictest(policy.commands.filter((rule) => matchesCommand(rule, command.argv)).map(rulingOf)) ?? {
      ...NO_RULE,
      reason: `No rule speaks of ${program}.`,
    }
  );
}

/** Any word may be a path to a program: one that names what is not to be read counts as one, though it may be a word to search for. */
function judgeWords(policy: Policy, { argv }: SimpleCommand): readonly Ruling[] {
  return argv.slice(1).flatMap((word) =>
    pathsIn(word).flatMap((path) => {
      const ruling = judgePath(policy, "read", path);
      return ruling.outcome === "allow" ? [] : [ruling];
    }),
  );
}

/** A word as a path, and what follows an option's name or letter in it, or the name of a revision or a list of paths (`HEAD:.env`). */
function pathsIn(word: string): readonly string[] {
  const afterColons = [...word.matchAll(/:/g)].slice(0, MOST_COLONS).map(({ index }) => word.slice(index + 1).replace(/^\([^)]*\)/, ""));
  return [word, word.replace(/^-[^=]*=/, ""), word.replace(/^-[A-Za-z]/, ""), ...afterColons].map((path) =>
    path.replace(/^(?:\.\/+)+/, ""),
  );
}
const MOST_COLONS = 8;

/** Reading is a matter of the view; writing makes the command one that writes. */
function judgeRedirections(policy: Policy, { redirections }: SimpleCommand): readonly Ruling[] {
  return redirections.map(({ kind, path }): Ruling => {
    if (kind === "read") return judgePath(policy, "read", path);
    return path === "/dev/null"
      ? { rule: "command.null", outcome: "allow", reason: "It throws output away." }
      : { rule: "command.redirection", outcome: "ask", reason: `It writes to ${path}.` };
  });
}

const isFlag = (word: string): boolean => word.startsWith("-") && word !== "-" && word !== "--";

export function matchesCommand(rule: CommandRule, argv: readonly string[]): boolean {
  const [program = "", ...rest] = argv;
  if (!rule.programs.includes(program)) return false;
  const dashes = rest.indexOf("--");
  // After "--" nothing is a flag, whatever it looks like.
  const words = rest.filter((word, at) => (dashes >= 0 && at > dashes) || !isFlag(word));
  if (rule.first !== undefined && !rule.first.includes(rest[0] ?? "")) return false;
  if (rule.has !== undefined && !rest.some((word) => (rule.has ?? []).some((pattern) => matchesWord(pattern, word)))) return false;
  if (rule.without !== undefined && rest.some((word) => (rule.without ?? []).some((pattern) => matchesWord(pattern, word)))) return false;
  return rule.words === undefined || words.length <= rule.words;
}

/**
 * `-x` also stands for a bundle of single letters with x in it (`-nx`), and for x with its value (`-xVALUE`). A long option stands for every
 * abbreviation that getopt would take for it, and for its `=value`.
 */
function matchesWord(pattern: string, word: string): boolean {
  if (pattern.endsWith("*")) return word.startsWith(pattern.slice(0, -1));
  if (/^-[A-Za-z0-9]$/.test(pattern)) return /^-[^-]/.test(word) && word.includes(pattern[1] ?? "");
  if (pattern.startsWith("--")) {
    const [name = ""] = word.split("=", 1);
    return name.length > 2 && pattern.startsWith(name) && name.startsWith("--");
  }
  return word === pattern;
}

/** `path` relative to the workspace without `..`, or absolute and resolved. */
export function judgePath(
  policy: Policy,
  operation: "read" | "write",
  path: string,
): Ruling & { readonly confidentiality: 0 | 1 | 2 | 3 | 4 } {
  const rules = policy.paths.filter((rule) => rule.operations.includes(operation) && matchesPath(rule, path));
  const confidentiality = rules.reduce<0 | 1 | 2 | 3 | 4>(
    (most, rule) => ((rule.confidentiality ?? 0) > most ? (rule.confidentiality ?? 0) : most),
    0,
  );
  const silent: Ruling = { rule: "path.default", outcome: operation === "read" ? "allow" : "ask", reason: "No rule speaks of this path." };
  return { ...(strictest(rules.map(rulingOf)) ?? silent), confidentiality };
}

/** Without case: a stick's file system may not know any. */
export const matchesPath = (rule: PathRule, path: string): boolean => globsOf(rule).test(path.toLowerCase());

const globs = new WeakMap<PathRule, RegExp>();
/** All patterns of a rule in one: every name of a workspace is held against every rule. */
function globsOf(rule: PathRule): RegExp {
  const known = globs.get(rule);
  if (known !== undefined) return known;
  const made = new RegExp(rule.paths.map((pattern) => `^${globSource(pattern)}$`).join("|"), "su");
  globs.set(rule, made);
  return made;
}

function globSource(pattern: string): string {
  return pattern
    .toLowerCase()
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll(/\*\*\/|\*\*|\*|\?/g, (found) => (found === "**/" ? "(?:.*/)?" : found === "**" ? ".*" : found === "*" ? "[^/]*" : "[^/]"));
}

/** `host` in its canonical spelling (proxy/host.ts). Where no rule speaks a person is asked. */
export function judgeHost(policy: Policy, host: string, port: number, scheme: Scheme = "https"): Ruling {
  const speaks = (rule: HostRule): boolean =>
    rule.outcome === "deny" ? matchesName(rule, host) : matchesHost(rule, host, port) && (rule.schemes ?? ["https"]).includes(scheme);
  const found = strictest(policy.hosts.filter(speaks).map(rulingOf));
  return found ?? { rule: "host.unknown", outcome: "ask", reason: `No rule speaks of ${host}.` };
}

export const matchesHost = (rule: HostRule, host: string, port: number): boolean => rule.ports.includes(port) && matchesName(rule, host);

const matchesName = ({ hosts }: HostRule, host: string): boolean =>
  hosts.some(
    (pattern) =>
      pattern === "*" ||
      (pattern.startsWith("*.") ? host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1 : host === pattern),
  );
