import * as v from "valibot";
import { canonicalJson, type Json } from "../../lib/canonical-json.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { parseCommandLine } from "./command.ts";
import { matchesCommand, matchesHost, matchesPath } from "./judge.ts";
import { PolicySchema, type Policy } from "./schema.ts";

/** A policy that was checked, with the hash that every audit entry names. */
export interface LoadedPolicy {
  readonly policy: Policy;
  /** SHA-256 of its canonical JSON, in hex. */
  readonly hash: string;
}

/** The errors are sentences, each naming its rule. */
export function loadPolicy(value: unknown, sha256: (bytes: Uint8Array) => Uint8Array): Result<LoadedPolicy, readonly string[]> {
  const parsed = v.safeParse(PolicySchema, value);
  if (!parsed.success) return err(schemaFaults(parsed.issues, "The policy"));
  const policy = parsed.output;
  const faults = [...examplesThatFail(policy), ...repeated(policy), ...unknownRules(policy)];
  if (faults.length > 0) return err(faults);
  const canonical = canonicalOf(policy);
  if (canonical === null) return err(["The policy: it holds half of a character, and has no hash."]);
  // Names such as "constructor" are passed over by the schema; a policy with a word that nobody read is none.
  if (canonical !== canonicalOf(value)) return err(["The policy: it has a name that means nothing here."]);
  return ok({ policy, hash: sha256(new TextEncoder().encode(canonical)).toHex() });
}

function canonicalOf(value: unknown): string | null {
  try {
    return canonicalJson(value as Json);
  } catch {
    // A file in JSON may spell a lone surrogate.
    return null;
  }
}

/** One sentence for each of the first few; `whole` names what has no name. */
export const schemaFaults = (issues: readonly v.BaseIssue<unknown>[], whole: string): readonly string[] =>
  issues.slice(0, 20).map((issue) => `${plain(v.getDotPath(issue) ?? whole)}: ${plain(issue.message)}`);

/** Valibot says it on one line already; what it quotes of a hostile file may hold anything. */
const plain = (message: string): string => {
  const shown = message.toWellFormed().replaceAll(/[^\P{C} ]/gu, "?");
  return shown.length <= 200 ? shown : `${shown.slice(0, 199).toWellFormed()}…`;
};

/** Every rule says what it is for, and is held to it: a rule that no longer matches its own example protects nothing. */
function examplesThatFail(policy: Policy): readonly string[] {
  const check = <T extends { readonly id: string; readonly match: readonly string[]; readonly not_match: readonly string[] }>(
    rules: readonly T[],
    matches: (rule: T, example: string) => boolean,
  ): readonly string[] =>
    rules.flatMap((rule) => [
      ...rule.match
        .filter((example) => !matches(rule, example))
        .map((example) => `${rule.id}: it should match ${JSON.stringify(example)}, and does not.`),
      ...rule.not_match
        .filter((example) => matches(rule, example))
        .map((example) => `${rule.id}: it should not match ${JSON.stringify(example)}, and does.`),
    ]);
  return [
    ...check(policy.commands, (rule, example) => {
      const line = parseCommandLine(example);
      return line.kind === "read" && line.commands.some(({ argv }) => matchesCommand(rule, argv));
    }),
    ...check(policy.paths, matchesPath),
    ...check(policy.hosts, (rule, example) => {
      const [host = "", port = "443"] = example.split(":");
      return matchesHost(rule, host, Number(port));
    }),
  ];
}

/** A skill's list of rules that names none would silently give less than it says. */
const unknownRules = ({ skills, hosts }: Policy): readonly string[] =>
  Object.entries(skills).flatMap(([skill, { network }]) =>
    (network?.rules ?? [])
      .filter((rule) => !hosts.some(({ id }) => id === rule))
      .map((rule) => `${skill}: there is no rule ${rule} over hosts.`),
  );

function repeated(policy: Policy): readonly string[] {
  const seen = new Set<string>();
  return [...policy.commands, ...policy.paths, ...policy.hosts].flatMap(({ id }) => {
    if (seen.has(id)) return [`${id}: there are two rules of this name.`];
    seen.add(id);
    return [];
  });
}
