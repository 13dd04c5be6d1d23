/** A permit for one answer is none for another: what is read, and what is asked of it, is in its digest. */
import { afterAll, describe, expect, test } from "bun:test";
import { type Executor, executor } from "../../../src/bark/execute.ts";
import { permitDesk } from "../../../src/bark/monitor/permit.ts";
import type { PreparedCall } from "../../../src/bark/call.ts";
import { compiledPolicy } from "../../../src/cli/bark-policy-run.ts";
import { openMemoryHeart } from "../../../src/cli/heart-access.ts";
import type { Millis } from "../../../src/lib/brand.ts";
import { BOTTOM } from "../../../src/lib/label.ts";
import { ok } from "../../../src/lib/result.ts";
import { auditCrypto } from "../../../src/platform/audit-crypto.ts";
import { fileOps } from "../../../src/skills/file-ops.ts";
import { memory, taskStatus } from "../../../src/skills/heart-skills.ts";
import type { WorkspaceReader } from "../../../src/skills/ports.ts";
import { registry } from "../../../src/skills/registry.ts";
import { must } from "../../support/heart.ts";

const { sha256 } = auditCrypto;
const permits = permitDesk(sha256);
const now = 1_000_000 as Millis;
const read: string[] = [];
const reader: Partial<WorkspaceReader> = {
  isAlias: () => false,
  readText: (path) => {
    read.push(path);
    return ok("one\ntwo\n");
  },
  list: (path) => {
    read.push(path);
    return ok({ names: ["a"], more: false });
  },
  search: (path, text) => {
    read.push(`${path}?${text}`);
    return ok({ hits: [], more: false });
  },
};
const heart = openMemoryHeart();
afterAll(() => heart[Symbol.dispose]());
must(heart.memory.remember("oven", "180 degrees", BOTTOM));
must(heart.memory.remember("door", "1234", BOTTOM));
const skills = registry([fileOps(() => reader as WorkspaceReader, compiledPolicy().policy), memory(heart), taskStatus(heart)]);
const executorIn = (workspace: string): Executor =>
  executor({
    permits,
    cage: null as never,
    writer: null as never,
    clock: { now: () => now, monotonic: () => 0 },
    sha256,
    workspace,
  });
const here = executorIn("/w");

const CALLS = [
  ["file_ops", { operation: "read", path: "a.txt" }],
  ["file_ops", { operation: "read", path: "b.txt" }],
  ["file_ops", { operation: "read", path: "a.txt", from: 2 }],
  ["file_ops", { operation: "read", path: "a.txt", lines: 2 }],
  ["file_ops", { operation: "list", path: "a.txt" }],
  ["file_ops", { operation: "list" }],
  ["file_ops", { operation: "search", text: "a.txt" }],
  ["file_ops", { operation: "search", text: "b.txt" }],
  ["file_ops", { operation: "search", text: "b.txt", path: "folder" }],
  ["memory", { operation: "recall", key: "oven" }],
  ["memory", { operation: "recall", key: "door" }],
  ["memory", { operation: "search", text: "oven" }],
  ["memory", { operation: "search", text: "door" }],
  ["task_status", {}],
] as const;
const prepared = async (skill: string, args: object): Promise<PreparedCall> =>
  must(await skills.prepare(skill, args as never, { workspace: "/w", signal: new AbortController().signal }));

describe("the digest of an answer", () => {
  test("is another for each thing that is read, and each question about it", async () => {
    const digests = await Promise.all(
      CALLS.map(async ([skill, args]) => permits.digest(here.describe((await prepared(skill, args)).effect))),
    );
    expect(new Set(digests).size).toBe(CALLS.length);
    const again = await Promise.all(
      CALLS.map(async ([skill, args]) => permits.digest(here.describe((await prepared(skill, args)).effect))),
    );
    expect(again).toEqual(digests);
    // What it is by default is what it is when it is said.
    const { effect } = await prepared("file_ops", { operation: "read", path: "./a.txt", from: 1, lines: 400 });
    expect(permits.digest(here.describe(effect))).toBe(digests[0] as never);
  });

  test("is another in another workspace, and so is that of a change", async () => {
    const other = executorIn("/v");
    for (const call of [
      await prepared("file_ops", { operation: "read", path: "a.txt" }),
      {
        ...(await prepared("memory", { operation: "recall", key: "oven" })),
        effect: { kind: "changes", changes: [], diff: "", answer: "" } as const,
      },
    ])
      expect(permits.digest(other.describe(call.effect))).not.toBe(permits.digest(here.describe(call.effect)));
  });

  test("so a permit for one read reads nothing else", async () => {
    const asked = await prepared("file_ops", { operation: "read", path: "a.txt" });
    const others = CALLS.slice(1);
    read.length = 0;
    for (const [skill, args] of others) {
      const permit = permits.mint(here.describe(asked.effect), now);
      const done = await here.execute(permit, await prepared(skill, args), BOTTOM, new AbortController().signal);
      expect(done).toMatchObject({ status: "denied", text: expect.stringContaining("something else") as string });
    }
    expect(read).toEqual([]);
    const permit = permits.mint(here.describe(asked.effect), now);
    expect(await here.execute(permit, asked, BOTTOM, new AbortController().signal)).toMatchObject({ status: "done" });
    expect(read).toEqual(["a.txt"]);
  });
});
