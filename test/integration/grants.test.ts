/** Standing permissions: what they cover to the word, and every way of stretching one. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { matchesPattern, parsePattern, patternOf, patternText } from "../../src/bark/grants/pattern.ts";
import { mayBeGranted } from "../../src/bark/grants/rules.ts";
import { grantText, placeOf } from "../../src/bark/grants/grant.ts";
import type { GrantRequest } from "../../src/bark/grants/desk.ts";
import { parseEntry } from "../../src/audit/entry.ts";
import type { OpenHeart } from "../../src/heart/open.ts";
import { shellQuoted } from "../../src/lib/shell-quote.ts";
import { BOTTOM } from "../../src/lib/label.ts";
import { err, ok } from "../../src/lib/result.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { holderOn, requestFor, stick, TestClock } from "../support/asking.ts";
import { must, openIn, raw } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

let dir: TempDir;
let heart: OpenHeart;
let clock: TestClock;
const pattern = (text: string) => must(parsePattern(text));
const shell = (command: string, over: Partial<GrantRequest> = {}): GrantRequest => requestFor("shell", { command }, over);
const allows = (text: string, request: GrantRequest): boolean => matchesPattern(pattern(text), request);
const withHeart = (): void => {
  beforeEach(() => {
    dir = tempDir();
    clock = new TestClock();
    heart = openIn(dir.path, { clock });
  });
  afterEach(() => {
    heart[Symbol.dispose]();
    dir[Symbol.dispose]();
  });
};

describe("a pattern", () => {
  test.each([
    ["shell make test", "make test", true],
    ["shell make test", "make  'test'", true],
    ["shell make *", "make test", true],
    ["shell make *", "make", false],
    ["shell make *", "make test lint", false],
    // A star is no option, no assignment, no other folder, no hidden name, nothing empty and nothing with blanks.
    ["shell make *", "make --eval=x", false],
    ["shell make *", "make -f", false],
    ["shell make *", "make SHELL=/tmp/x", false],
    ["shell make *", "make ../x", false],
    ["shell make *", "make a/b", false],
    ["shell make *", "make .git", false],
    ["shell make *", "make ''", false],
    ["shell make *", "make 'a b'", false],
    ["shell make *", "make 'a\u00a0b'", false],
    ["shell make *", "make ~root", false],
    ["shell make *", "make \u0441lean", false],
    ["shell touch src/*.ts", "touch src/a.ts", true],
    ["shell touch src/*.ts", "touch src/a/b.ts", false],
    ["shell touch src/*.ts", "touch src/..ts", false],
    ["shell touch src/*.ts", "touch src/a.tsx", false],
    ["shell touch src/*.ts", "touch src/aXts", false],
    // One command is not two, whatever joins them.
    ["shell make test", "make test; rm -rf .", false],
    ["shell make test", "make test && rm x", false],
    ["shell make test", "make test | tee x", false],
    ["shell make test", "make test > x", false],
    ["shell make test", "make test\nrm x", false],
    ["shell make test", "make test &", false],
    ["shell make test", "make $(x)", false],
    ["shell make test", "make test # quietly", true],
    ["shell make test", "CC=x make test", false],
    ["shell make test", "./make test", false],
    ["shell make test", "make test\u200b", false],
    ["shell make test", "MAKE test", false],
    ["shell make '*'", "make '*'", true],
    ["shell make '*'", "make test", false],
  ])("%j over %j: %p", (text, command, covered) => {
    expect(allows(text, shell(command))).toBe(covered);
  });

  test.each([
    ["file_ops operation=write path=notes/*.md content=*", { operation: "write", path: "notes/a.md", content: "any\nthing" }, true],
    ["file_ops path=notes/*.md content=* operation=write", { operation: "write", path: "notes/a.md", content: "" }, true],
    ["file_ops operation=write path=notes/*.md content=*", { operation: "delete", path: "notes/a.md" }, false],
    ["file_ops operation=write path=notes/*.md content=*", { operation: "write", path: "notes/../a.md", content: "" }, false],
    ["file_ops operation=write path=notes/*.md content=*", { operation: "write", path: "notes/.x.md", content: "" }, false],
    ["file_ops operation=write path=notes/*.md content=*", { operation: "write", path: "/notes/a.md", content: "" }, false],
    ["file_ops operation=write path=notes/*.md", { operation: "write", path: "notes/a.md", content: "" }, false],
    ["file_ops operation=move path=a to=*", { operation: "move", path: "a", to: "b" }, true],
    ["file_ops operation=move path=a to=*", { operation: "move", path: "a", to: "b/c" }, false],
  ] as const)("%j over %j: %p", (text, args, covered) => {
    expect(allows(text, requestFor("file_ops", args as Record<string, string>))).toBe(covered);
  });

  test.each([
    "shell",
    "",
    "shell *",
    "shell m* x",
    "shell 'open",
    "make test",
    "file_ops operation=* path=a",
    "file_ops write",
    "file_ops path=a path=b",
    `shell ${"a ".repeat(100)}`,
    "shell make a\u200bb",
    "shell make a\tb",
    // What runs text as a program, or another program: nobody grants that.
    ...`sh -c ls|bash x|env make|xargs rm|find . -exec rm|sudo ls|awk x|sed -i x|eval x|. x|source x|timeout 1 make|nohup make|ssh host|vi x|/bin/sh x|./sh x|busybox sh`
      .split("|")
      .map((words) => `shell ${words}`),
    ...`python3 -c x|python3 *|python3|python3 -|node -e x|node --eval x|perl -ne x|ruby -e x|bun -e x|python3 -m *|php -r x|lua -e x|node -p 1`
      .split("|")
      .map((words) => `shell ${words}`),
  ])("%j is none", (text) => {
    expect(parsePattern(text).ok).toBe(false);
  });

  test.each(["shell python3 build.py *", "shell python3 -m pytest", "shell node script.js", "shell ./build.sh", "shell npm run build"])(
    "%j is one",
    (text) => {
      expect(parsePattern(text)).toMatchObject({ ok: true });
    },
  );

  test("is written so that it reads back as itself, and made of a call covers that call and no other", () => {
    const word = fc.stringMatching(/^[a-zA-Z0-9_.*'"\\$ ;=-]{1,8}$/);
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), word, (words, other) => {
        const command = ["touch", ...words].map((part) => `'${part.replaceAll("'", String.raw`'\''`)}'`).join(" ");
        const request = shell(command);
        const made = patternOf(request);
        if (made === null) return;
        const again = must(parsePattern(patternText(made)));
        expect(patternText(again)).toBe(patternText(made));
        expect(allows(patternText(made), request)).toBe(true);
        if (!words.includes(other)) expect(allows(patternText(made), shell(`touch ${shellQuoted(other)}`))).toBe(false);
      }),
      { numRuns: 150 },
    );
  });
});

describe("no grant speaks to", () => {
  withHeart();
  const base = shell("make test");
  const decision = (over: Partial<GrantRequest["decision"]>) => ({ decision: { ...base.decision, ...over } });
  const prepared = (over: Partial<GrantRequest["prepared"]>) => ({ prepared: { ...base.prepared, ...over } });
  const plan = base.prepared.effect.kind === "process" ? base.prepared.effect.plan : null;
  if (plan === null) throw new Error("a command is a process");

  test.each<[string, Partial<GrantRequest>]>([
    ["a deny", decision({ outcome: "deny" })],
    ["tier 4", decision({ tier: 4 })],
    ["an incident", decision({ incident: true })],
    ["a trifecta", decision({ batchable: false, spoke: ["trifecta"] })],
    ["a trifecta among others", decision({ spoke: ["policy", "trifecta"] })],
    ["what leaves", decision({ spoke: ["egress"] })],
    ["writing down", decision({ spoke: ["write-down"] })],
    ["what was not in the plan", decision({ spoke: ["plan", "approval"] })],
    ["a tainted context", { context: { c: 0, k: [], i: 0, p: ["a page"] } }],
    ["a way out", prepared({ sink: { name: "example.org", external: true, maxC: 0, listed: false } })],
    ["Noctem's own files", prepared({ object: { ...base.prepared.object, reserved: true } })],
    ["a program of the model's", { skill: "code_exec", ...prepared({ object: { ...base.prepared.object, kind: "code" } }) }],
    ["a program fed to another", prepared({ effect: { kind: "process", plan, stdin: new Uint8Array([1]), read: ok } })],
    [
      "a network",
      prepared({
        effect: {
          kind: "process",
          plan: { ...plan, network: { kind: "proxy", port: 1, reach: { hosts: [] } as never } },
          stdin: null,
          read: ok,
        },
      }),
    ],
  ])("%s", (_what, over) => {
    const request = { ...base, ...over };
    expect(mayBeGranted(base)).toBe(true);
    expect(mayBeGranted(request)).toBe(false);
    const holder = holderOn(heart, clock, { allowed: [pattern("shell make test")] });
    expect(holder.use(request)).toBeNull();
    expect(holder.offer(request)).toBeNull();
    holder.make(request, "console");
    expect(holder.list()).toEqual([]);
  });
});

describe("a standing grant", () => {
  withHeart();
  const draft = (text: string, over: object = {}) => ({ pattern: pattern(text), inputs: null, days: 30, uses: 3, ...over });

  test("is offered in its exact words, made by an always, used up by one, and stands in the log", () => {
    const holder = holderOn(heart, clock);
    const request = shell("make test");
    expect(holder.use(request)).toBeNull();
    const offer = holder.offer(request);
    expect(offer?.pattern).toBe("shell make test");
    expect(offer?.lines?.join("\n")).toContain("shell make test");
    holder.make(request, "console");
    expect(holder.use(request)).toMatchObject({ answer: "allowed", by: expect.stringMatching(/^grant [0-9a-f]{8}$/) as string });
    expect(holder.use(shell("make clean"))).toBeNull();
    expect(holder.list()).toMatchObject([{ left: 99, state: "good" }]);
    const leaves = heart.audit.checkpoints().flatMap(({ session }) => heart.audit.leaves(session).map(parseEntry));
    expect(leaves.flatMap((leaf) => (leaf?.kind === "grant" ? [[leaf.what, leaf.pattern, leaf.uses]] : []))).toEqual([
      ["made", "shell make test", 100],
      ["used", "shell make test", 99],
    ]);
  });

  test("ends: by its count, its date, a revocation; and in another folder it is none", () => {
    const holder = holderOn(heart, clock);
    must(holder.add(draft("shell make *"), stick, "console"));
    const request = shell("make test");
    expect(holderOn(heart, clock, { workspace: "/other" }).use(request)).toBeNull();
    for (let use = 0; use < 3; use++) expect(holder.use(request)).not.toBeNull();
    expect(holder.use(request)).toBeNull();
    expect(holder.list()).toMatchObject([{ state: "used-up" }]);
    const second = must(holder.add(draft("shell make test"), stick, "console"));
    expect(holder.use(request)).not.toBeNull();
    must(holder.revoke(second.slice(0, 8), "console"));
    expect(holder.use(request)).toBeNull();
    must(holder.add(draft("shell make test", { days: 1 }), stick, "console"));
    clock.pass(86_400_001);
    expect(holder.use(request)).toBeNull();
    // The heart has seen the later moment; the clock set back lengthens nothing.
    must(heart.incidents.count("test", 0));
    clock.wall -= 3_600_000;
    expect(holder.use(request)).toBeNull();
  });

  test("holds for the files that it was made with, and no others", () => {
    const holder = holderOn(heart, clock);
    const withInputs = (inputs: readonly { path: string; sha256: string }[]): GrantRequest => {
      const request = shell("python3 build.py");
      const { effect } = request.prepared;
      if (effect.kind !== "process") throw new Error("a command is a process");
      return { ...request, prepared: { ...request.prepared, effect: { ...effect, plan: { ...effect.plan, inputs } } } };
    };
    const [before, after] = [
      { path: "build.py", sha256: "1".repeat(64) },
      { path: "build.py", sha256: "2".repeat(64) },
    ];
    holder.make(withInputs([before]), "console");
    expect(holder.use(withInputs([after]))).toBeNull();
    expect(holder.use(withInputs([before, { path: "Makefile", sha256: "3".repeat(64) }]))).toBeNull();
    expect(holder.use(withInputs([]))).toBeNull();
    expect(holder.use(withInputs([before]))).not.toBeNull();
    // Made while there was no file to go by: one that appears is another call.
    holder.make(shell("make all"), "console");
    const appeared = withInputs([{ path: "Makefile", sha256: "3".repeat(64) }]);
    expect(holder.use({ ...shell("make all"), prepared: { ...appeared.prepared } })).toBeNull();
    expect(holder.use(shell("make all"))).not.toBeNull();
    // What the command itself made last time is no reason to ask again; a program of its name is.
    holder.make(shell("touch out"), "console");
    const out = withInputs([{ path: "out", sha256: "4".repeat(64) }]);
    expect(holder.use({ ...shell("touch out"), prepared: out.prepared })).not.toBeNull();
    holder.make(shell("./out x"), "console");
    expect(holder.use({ ...shell("./out x"), prepared: out.prepared })).toBeNull();
  });

  test("signed by another key, changed by a letter, or put there twice, is none", () => {
    const holder = holderOn(heart, clock);
    const request = shell("make test");
    const body = {
      pattern: "shell make test",
      place: placeOf("/w", auditCrypto.sha256),
      inputs: null,
      expires: clock.wall + 1000,
      uses: 5,
      nonce: "1".repeat(32),
    };
    must(heart.grants.open(grantText(body, auditCrypto.ephemeral()), BOTTOM));
    expect(holder.use(request)).toBeNull();
    const good = grantText(body, stick);
    for (const [from, to] of [
      ["make test", "make tess"],
      ['"uses":5', '"uses":9'],
      [String(body.expires), String(body.expires + 9)],
      ['"inputs":null', '"inputs":[]'],
      [body.place, "0".repeat(64)],
    ] as const)
      must(heart.grants.open(good.replace(from, to), BOTTOM));
    expect(holder.list()).toEqual([]);
    must(heart.grants.open(good, BOTTOM));
    expect(holder.use(request)).not.toBeNull();
    must(holder.revoke("1111", "console"));
    must(heart.grants.open(good, BOTTOM));
    expect(holder.use(request)).toBeNull();
  });

  test("put into the file without the heart's key is not even read", () => {
    const holder = holderOn(heart, clock);
    must(holder.add(draft("shell make test"), stick, "console"));
    using db = raw(dir.path);
    db.run("update entry_body set body = replace(body, 'make test', 'make evil') where n in (select n from entry where kind = 'grant')");
    expect(holder.list()).toEqual([]);
    expect(holder.use(shell("make evil"))).toBeNull();
  });

  test("of two who are at its last use one has it", () => {
    must(holderOn(heart, clock).add(draft("shell make test", { uses: 1 }), stick, "console"));
    const request = shell("make test");
    let inner: unknown = null;
    const second = holderOn(heart, clock);
    const first = holderOn(heart, clock, {
      log: () => {
        inner = second.use(request);
        return ok(undefined);
      },
    });
    const outer = first.use(request);
    expect([outer, inner].filter((reply) => reply !== null).length).toBe(1);
  });

  test("what cannot be written to the log is neither made nor used", () => {
    const mute = holderOn(heart, clock, { log: () => err("no room") });
    expect(mute.add(draft("shell make test"), stick, "console").ok).toBe(false);
    must(holderOn(heart, clock).add(draft("shell make test"), stick, "console"));
    expect(mute.use(shell("make test"))).toBeNull();
    expect(holderOn(heart, clock, { log: () => err("no room"), allowed: [pattern("shell make test")] }).use(shell("make test"))).toBeNull();
  });

  test("with a parent only what the parent signed counts, and an always makes none", () => {
    const parent = auditCrypto.ephemeral();
    must(holderOn(heart, clock).add(draft("shell make test"), stick, "console"));
    const supervised = holderOn(heart, clock, { trusted: () => ok({ by: "parent", publicKey: parent.publicKey }) });
    const request = shell("make test");
    expect(supervised.use(request)).toBeNull();
    expect(supervised.offer(request)).toEqual({ pattern: "shell make test", lines: null });
    supervised.make(request, "console");
    expect(supervised.use(request)).toBeNull();
    must(supervised.add(draft("shell make test"), parent, "parent"));
    expect(supervised.use(request)).not.toBeNull();
    // A parent's key that cannot be read is no reason to go back to the stick's own.
    expect(holderOn(heart, clock, { trusted: () => err("broken") }).use(request)).toBeNull();
  });
});
