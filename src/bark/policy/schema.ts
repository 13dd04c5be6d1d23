import * as v from "valibot";
import { DbusRule } from "../cage/dbus.ts";

/** A policy as it stands in a file. Everything is named one by one; what is not named is closed. */
const outcome = v.picklist(["allow", "ask", "deny"]);
const id = v.pipe(v.string(), v.maxLength(100), v.regex(/^[a-z0-9]+(?:[-.][a-z0-9]+)*$/));
const sentence = v.pipe(v.string(), v.minLength(3), v.maxLength(300));
/** A name, a pattern or an example, and how many of a kind: a file that somebody wrote by hand needs far less. */
const word = v.pipe(v.string(), v.maxLength(500));
const MOST = 1000;
const words = v.pipe(v.array(word), v.maxLength(MOST));
const examples = v.pipe(v.array(word), v.minLength(1), v.maxLength(MOST));
/** Each star may try every place of a path; more than a few of them try until the day ends. */
const pattern = v.pipe(
  word,
  v.check((text) => (text.match(/\*+/g) ?? []).length <= 6, "a pattern has at most six stars"),
);
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const level = v.picklist([0, 1, 2, 3, 4]);

export const LimitsSchema = v.strictObject({
  wallMs: count,
  cpuSeconds: count,
  memoryBytes: count,
  processes: count,
  outputBytes: count,
  openFiles: count,
  fileBytes: count,
  diskBytes: count,
});

/**
 * A rule over one simple command. `programs` by their bare names; `first` the subcommand, where the program has them. `flags` are the only words
 * beginning with "-" that it takes, `denies` those that it never does (a trailing * stands for any ending); without `flags` all others pass.
 */
export const CommandRule = v.strictObject({
  id,
  outcome,
  reason: sentence,
  programs: v.pipe(v.array(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.+-]{1,100}$/))), v.minLength(1)),
  first: v.optional(words),
  /** Matches only where one of these words is there. */
  has: v.optional(words),
  /** Does not match where one of these is there. */
  without: v.optional(words),
  /** Words that are no flags, at most: programs that take a program's text or an output file as their last word. */
  words: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  match: examples,
  not_match: words,
});

/** A rule over a path: relative to the workspace, or absolute. `*` stands for any characters but a slash, `**` for any. */
export const PathRule = v.strictObject({
  id,
  outcome,
  reason: sentence,
  operations: v.pipe(v.array(v.picklist(["read", "write"])), v.minLength(1)),
  paths: v.pipe(v.array(pattern), v.minLength(1), v.maxLength(MOST)),
  /** The confidentiality of what is read there. */
  confidentiality: v.optional(level),
  match: examples,
  not_match: words,
});

export const HostRule = v.strictObject({
  id,
  outcome,
  reason: sentence,
  /** `*.example.org` stands for every name below it, and not for itself; `*` for any. */
  hosts: v.pipe(v.array(word), v.minLength(1), v.maxLength(MOST)),
  /** Of what is allowed or asked about. What is denied is denied by every port. */
  ports: v.pipe(v.array(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(65535))), v.minLength(1)),
  /** How it may be spoken to, likewise; without it by HTTPS alone. */
  schemes: v.optional(v.pipe(v.array(v.picklist(["https", "http"])), v.minLength(1))),
  match: examples,
  not_match: words,
});

/** What a call may ask of the network. A skill without it has none. */
const NetworkRule = v.strictObject({
  /** Rules over hosts by which a call may name one; without it any rule will do, and where none speaks a person is asked. */
  rules: v.optional(v.pipe(v.array(id), v.maxLength(MOST))),
  upBytes: count,
  downBytes: count,
  connections: count,
  requests: count,
  headMs: count,
  connectMs: count,
  idleMs: count,
});

const SkillRule = v.strictObject({
  tier: level,
  clearance: v.strictObject({ c: level, k: words }),
  limits: LimitsSchema,
  network: v.optional(NetworkRule),
  /** Services of the person's session bus that its programs may speak to. A skill without it sees no bus. */
  dbus: v.optional(v.pipe(v.array(DbusRule), v.maxLength(50))),
});

/** By the skill's name. A list would pass for a record of nothing. */
export const bySkill = <T extends v.GenericSchema>(of: T) =>
  v.pipe(
    v.unknown(),
    v.check((value) => !Array.isArray(value), "a list has no names"),
    v.record(v.pipe(v.string(), v.regex(/^[a-z_]{1,50}$/)), of),
  );

export const PolicySchema = v.strictObject({
  version: v.literal(1),
  skills: bySkill(SkillRule),
  commands: v.pipe(v.array(CommandRule), v.maxLength(MOST)),
  paths: v.pipe(v.array(PathRule), v.maxLength(MOST)),
  hosts: v.pipe(v.array(HostRule), v.maxLength(MOST)),
  /** Variables of the person's environment that reach a cage. Everything else does not. */
  environment: v.array(v.pipe(v.string(), v.regex(/^[A-Z][A-Z0-9_]{0,99}$/))),
  /** What a call may change in a workspace without being asked about again. */
  changes: v.strictObject({ files: count, bytes: count }),
});

export type Policy = v.InferOutput<typeof PolicySchema>;
export type CommandRule = v.InferOutput<typeof CommandRule>;
export type PathRule = v.InferOutput<typeof PathRule>;
export type HostRule = v.InferOutput<typeof HostRule>;
