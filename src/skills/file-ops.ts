import { createTwoFilesPatch } from "diff";
import * as v from "valibot";
import type { Json } from "../lib/canonical-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Effect, PreparedCall, SkillRefusal } from "../bark/call.ts";
import { judgePath } from "../bark/policy/judge.ts";
import type { Policy } from "../bark/policy/schema.ts";
import type { AccessRequest, BarkTier } from "../bark/types.ts";
import type { Change } from "../bark/workspace/types.ts";
import { placeIn, short } from "./place.ts";
import type { WorkspaceReader } from "./ports.ts";
import type { Skill } from "./types.ts";

const path = v.pipe(v.string(), v.description("relative to the workspace"));
const ArgumentsSchema = v.variant("operation", [
  v.strictObject({
    operation: v.literal("read"),
    path,
    from: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.description("first line, from 1"))),
    lines: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(2000))),
  }),
  v.strictObject({ operation: v.literal("list"), path: v.optional(path) }),
  v.strictObject({ operation: v.literal("search"), path: v.optional(path), text: v.pipe(v.string(), v.minLength(1), v.maxLength(500)) }),
  v.strictObject({ operation: v.literal("write"), path, content: v.string() }),
  v.strictObject({
    operation: v.literal("edit"),
    path,
    old: v.pipe(v.string(), v.minLength(1), v.description("text that stands in the file exactly once")),
    new: v.string(),
  }),
  v.strictObject({ operation: v.literal("move"), path, to: path }),
  v.strictObject({ operation: v.literal("delete"), path }),
]);
type Arguments = v.InferOutput<typeof ArgumentsSchema>;

/** Bytes of a text that is read or written, lines that are shown, names that are listed, hits. */
const MOST_BYTES = 4 << 20;
const MOST_LINES = 400;
const MOST_NAMES = 500;
const MOST_HITS = 100;

export function fileOps(reader: (workspace: string) => WorkspaceReader, policy: Policy): Skill<typeof ArgumentsSchema> {
  return {
    name: "file_ops",
    description: "Reads, lists, searches, writes, edits, moves and deletes files in the workspace.",
    arguments: ArgumentsSchema,
    tier: 1,
    prepare(args, { workspace }) {
      return Promise.resolve(prepare(args, workspace, reader(workspace), policy));
    },
  };
}

function prepare(args: Arguments, workspace: string, files: WorkspaceReader, policy: Policy): Result<PreparedCall, SkillRefusal> {
  const place = args.path === undefined ? ok("") : placeIn(workspace, args.path);
  if (!place.ok) return place;
  const at = place.value;
  const isSecret = (path: string): boolean => judgePath(policy, "read", path).outcome !== "allow";
  if (files.isAlias(at, isSecret)) return refuse("unsuitable", `${short(at)} is another name of a file that no skill reads.`);
  switch (args.operation) {
    case "read": {
      const { from = 1, lines = MOST_LINES } = args;
      return reading({ operation: "read", path: at, from, lines }, policy, () => readLines(files, at, from, lines));
    }
    case "list":
      return reading({ operation: "list", path: at }, policy, () => {
        const listed = files.list(at, MOST_NAMES);
        if (!listed.ok) return listed;
        const { names, more } = listed.value;
        return ok(
          names.length === 0 ? "The folder is empty." : `${names.join("\n")}${more ? `\n(and more than these ${names.length})` : ""}`,
        );
      });
    case "search":
      return reading({ operation: "search", path: at, text: args.text }, policy, () => {
        const found = files.search(at, args.text, MOST_HITS);
        if (!found.ok) return found;
        const { hits, more } = found.value;
        const lines = hits
          .filter((hit) => !isSecret(hit.path) && !files.isAlias(hit.path, isSecret))
          .map((hit) => `${hit.path}:${hit.line}: ${hit.text}`);
        return ok(lines.length === 0 ? "Nothing was found." : `${lines.join("\n")}${more ? "\n(and more)" : ""}`);
      });
    case "write":
      return write(at, args.content, files, policy);
    case "edit": {
      const old = files.readText(at, MOST_BYTES);
      if (!old.ok) return old;
      const first = old.value.indexOf(args.old);
      if (first < 0) return refuse("not-found", `The text to replace does not stand in ${short(at)}.`);
      if (old.value.includes(args.old, first + 1))
        return refuse("unsuitable", `The text to replace stands in ${short(at)} more than once; give more of its surroundings.`);
      return write(at, old.value.slice(0, first) + args.new + old.value.slice(first + args.old.length), files, policy);
    }
    case "move":
      return move(at, args.to, workspace, files, policy);
    case "delete": {
      const before = files.before(at);
      if (before.kind === "nothing") return refuse("not-found", `There is no ${short(at)}.`);
      if (before.kind === "folder") return refuse("unsuitable", `${short(at)} is a folder; delete what is in it, file by file.`);
      if (before.kind === "other") return refuse("unsuitable", `${short(at)} is no plain file.`);
      return changing("delete", [at], policy, [{ kind: "delete", path: at, before }], `delete ${at}\n`, `${at} is deleted.`);
    }
  }
}

const refuse = (kind: SkillRefusal["kind"], detail: string): Result<never, SkillRefusal> => err({ kind, detail });

function reading(
  asked: { readonly operation: string; readonly path: string; readonly [more: string]: Json },
  policy: Policy,
  read: () => Result<string, SkillRefusal>,
): Result<PreparedCall, SkillRefusal> {
  const { operation, path: at } = asked;
  const { rule, outcome, reason, confidentiality } = judgePath(policy, "read", at);
  return ok({
    tier: 1,
    operation: "read",
    changesState: false,
    object: {
      kind: "file",
      name: at === "" ? "." : at,
      label: { c: confidentiality, k: ["files"], i: 0, p: [] },
      reserved: rule === "path.noctem",
    },
    declassifiable: false,
    sink: null,
    arguments: [{ name: "operation", role: "content", value: operation, required: 0 }],
    ruled: { rule, outcome, reason },
    effect: { kind: "answer", of: { skill: "file_ops", asked }, read: () => Promise.resolve(read()) },
    resultLabel: { c: confidentiality === 0 ? 1 : confidentiality, k: ["files"], i: 0, p: [`file:${at}`] },
  });
}

function readLines(files: WorkspaceReader, at: string, from: number, count: number): Result<string, SkillRefusal> {
  const read = files.readText(at, MOST_BYTES);
  if (!read.ok) return read;
  const lines = read.value.split("\n");
  // The end of the last line is no line.
  if (lines.at(-1) === "") lines.pop();
  if (from > Math.max(1, lines.length)) return refuse("unsuitable", `${short(at)} has ${lines.length} lines.`);
  const shown = lines.slice(from - 1, from - 1 + count);
  const rest = lines.length - (from - 1 + shown.length);
  return ok(`${shown.join("\n")}${rest > 0 ? `\n(${rest} more lines; read on from line ${from + shown.length})` : ""}`);
}

function write(at: string, content: string, files: WorkspaceReader, policy: Policy): Result<PreparedCall, SkillRefusal> {
  if (at === "") return refuse("unsuitable", "The workspace itself is a folder.");
  const text = content.toWellFormed();
  if (text.length > MOST_BYTES) return refuse("too-large", `A text of more than ${MOST_BYTES >> 20} MB is not written.`);
  const before = files.before(at);
  if (before.kind !== "nothing" && before.kind !== "file")
    return refuse("unsuitable", `${short(at)} is a ${before.kind === "other" ? "special file" : before.kind}.`);
  const folders = missingFolders(at, files);
  if (!folders.ok) return folders;
  let old = "";
  if (before.kind === "file") {
    const read = files.readText(at, MOST_BYTES);
    if (!read.ok) return read;
    old = read.value;
    if (old === text) return refuse("unsuitable", `${short(at)} says that already.`);
  }
  const content_ = files.stage(new TextEncoder().encode(text));
  const executable = before.kind === "file" && before.executable;
  const diff = createTwoFilesPatch(before.kind === "nothing" ? "/dev/null" : at, at, old, text, "", "", { context: 3 });
  const changes: Change[] = [...folders.value, { kind: "write", path: at, content: content_, executable, before }];
  return changing("write", [at], policy, changes, diff, before.kind === "nothing" ? `${at} is written.` : `${at} is changed.`);
}

function missingFolders(at: string, files: WorkspaceReader): Result<readonly Change[], SkillRefusal> {
  const parts = at.split("/").slice(0, -1);
  const missing: Change[] = [];
  for (let i = 1; i <= parts.length; i++) {
    const path_ = parts.slice(0, i).join("/");
    const { kind } = files.look(path_);
    if (kind === "folder") continue;
    if (kind !== "nothing") return refuse("unsuitable", `${short(path_)} is no folder.`);
    missing.push({ kind: "folder", path: path_, before: { kind: "nothing" } });
  }
  return ok(missing);
}

function move(from: string, to: string, workspace: string, files: WorkspaceReader, policy: Policy): Result<PreparedCall, SkillRefusal> {
  const target = placeIn(workspace, to);
  if (!target.ok) return target;
  const before = files.before(from);
  if (before.kind !== "file")
    return refuse(
      before.kind === "nothing" ? "not-found" : "unsuitable",
      before.kind === "nothing" ? `There is no ${short(from)}.` : `${short(from)} is no plain file.`,
    );
  if (files.look(target.value).kind !== "nothing") return refuse("unsuitable", `${short(target.value)} is there already.`);
  const text = files.readText(from, MOST_BYTES);
  if (!text.ok) return text;
  const folders = missingFolders(target.value, files);
  if (!folders.ok) return folders;
  const content = files.stage(new TextEncoder().encode(text.value));
  const changes: Change[] = [
    ...folders.value,
    { kind: "write", path: target.value, content, executable: before.executable, before: { kind: "nothing" } },
    { kind: "delete", path: from, before },
  ];
  return changing(
    "move",
    [from, target.value],
    policy,
    changes,
    `rename from ${from}\nrename to ${target.value}\n`,
    `${from} is ${target.value} now.`,
  );
}

function changing(
  operation: string,
  paths: readonly string[],
  policy: Policy,
  changes: readonly Change[],
  diff: string,
  answer: string,
): Result<PreparedCall, SkillRefusal> {
  const rulings = paths.map((at) => judgePath(policy, "write", at));
  const ruling = rulings.find(({ outcome }) => outcome === "deny") ?? rulings.find(({ outcome }) => outcome === "ask") ?? rulings[0];
  const tier: BarkTier = 3;
  const request: AccessRequest["operation"] = "write";
  const effect: Effect = { kind: "changes", changes, diff, answer };
  return ok({
    tier,
    operation: request,
    changesState: true,
    object: { kind: "file", name: paths.join(" → "), label: { c: 1, k: ["files"], i: 0, p: [] }, reserved: ruling?.rule === "path.noctem" },
    declassifiable: true,
    sink: null,
    arguments: [
      { name: "operation", role: "content", value: operation, required: 0 },
      ...paths.map((value) => ({ name: "path", role: "control" as const, value, required: 2 as const })),
    ],
    ruled: ruling === undefined ? null : { rule: ruling.rule, outcome: ruling.outcome, reason: ruling.reason },
    effect,
    resultLabel: { c: 1, k: ["files"], i: 0, p: [] },
  });
}
