import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { originOf, certificateText, entryText } from "../../../src/audit/entry.ts";
import { maximalHeads } from "../../../src/audit/heads.ts";
import { auditLog } from "../../../src/audit/log.ts";
import { Frontier, leafHash } from "../../../src/audit/merkle.ts";
import { checkpointText, signNote } from "../../../src/audit/note.ts";
import { checkProof, proveInclusion } from "../../../src/audit/proof.ts";
import { openAuditFile } from "../../../src/heart/audit-file.ts";
import { KEY_FILE, KEY_FILE_LIMIT, readKeyFile } from "../../../src/heart/key-file.ts";
import { rowMac } from "../../../src/heart/mac.ts";
import { openHeart, type OpenHeart } from "../../../src/heart/open.ts";
import type { Millis } from "../../../src/lib/brand.ts";
import { ok } from "../../../src/lib/result.ts";
import { auditCrypto } from "../../../src/platform/audit-crypto.ts";
import { heartDeps } from "../../../src/platform/heart.ts";
import { sqliteDriver } from "../../../src/platform/sqlite/driver.ts";
import { pairedRatio, summarise } from "../stats.ts";
import type { Row } from "../table.ts";

const ROUNDS = 200;
/** Rounds before them, in which code is still interpreted: told of by themselves. */
const FIRST = 100;
const GROUP = 10;
const { sha256 } = auditCrypto;
const utf8 = new TextEncoder();
/** Entries of a session, as the log itself bounds them. */
const SESSION = 500;
const LARGE = 1_000_000;
/** One a day for a hundred years. */
const MANY_SESSIONS = 36_500;

/** The signed log: what an append costs over a bare commit, what a check of a million entries takes, what a proof and a start cost. */
export async function audit(): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "noctem-bench-"));
  try {
    const small = join(folder, "small.sqlite");
    const many = join(folder, "many.sqlite");
    const rows = [...appends(small), ...starts(many), ...appendsToMany(many)];
    const large = join(folder, "large.sqlite");
    fill(large, LARGE / SESSION, SESSION);
    return [...rows, ...proofs(large), ...(await verified(large))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function heartAt(file: string): OpenHeart {
  const opened = openHeart(heartDeps(), { file, keysDir: `${file}.keys` }, 0 as Millis);
  if (!opened.ok) throw new Error(opened.error.kind);
  return opened.value;
}

type Times = Record<"commits" | "grouped" | "single", number[]>;

/** Ten entries in one commit against one bare durable commit of the same text on the same disk, in turn. */
function timedAppends(file: string): { readonly first: Times; readonly warm: Times } {
  using bare = sqliteDriver.open(`${file}.bare`, { create: true, readOnly: false });
  bare.exec(
    "pragma page_size=4096; pragma journal_mode=truncate; pragma synchronous=extra; create table t (id integer primary key, body text) strict",
  );
  using heart = heartAt(file);
  const stick = auditCrypto.ephemeral();
  const log = auditLog({ heart: heart.audit, heartId: heart.id, crypto: auditCrypto, random: heartDeps().random, stick: () => ok(stick) });
  const entry = { draft: { kind: "heart", what: "bench", detail: "An entry as they are, of some length. ".repeat(5) } } as const;
  const group = Array.from({ length: GROUP }, () => entry);
  const text = JSON.stringify(group);
  const first: Times = { commits: [], grouped: [], single: [] };
  const warm: Times = { commits: [], grouped: [], single: [] };
  for (let round = 0; round < FIRST + ROUNDS; round++) {
    const start = performance.now();
    bare.run("insert into t (body) values (?)", text);
    const between = performance.now();
    const written = log.write(group);
    const after = performance.now();
    log.write([entry]);
    const end = performance.now();
    if (!written.ok) throw new Error(written.error.kind);
    const times = round < FIRST ? first : warm;
    times.commits.push(between - start);
    times.grouped.push(after - between);
    times.single.push(end - after);
  }
  return { first, warm };
}

function appends(file: string): readonly Row[] {
  const { first, warm } = timedAppends(file);
  const { commits, grouped, single } = warm;
  return [
    { what: "a bare durable commit", unit: "ms", value: summarise(commits) },
    { what: "a group of 10 appends", unit: "ms", value: summarise(grouped) },
    { what: "  over the commit", unit: "×", value: pairedRatio(grouped, commits), target: { at: "most", value: 1.3 } },
    { what: `  the first ${FIRST} of a process, over the commit`, unit: "×", value: pairedRatio(first.grouped, first.commits) },
    { what: "one append over the commit", unit: "×", value: pairedRatio(single, commits) },
  ];
}

/** In a heart of some age the trees are large, and more of their pages lie apart. */
function appendsToMany(file: string): readonly Row[] {
  const { commits, grouped } = timedAppends(file).warm;
  return [{ what: `a group of 10 appends over the commit, ${MANY_SESSIONS} sessions`, unit: "×", value: pairedRatio(grouped, commits) }];
}

/** What a new session looks at before its first entry. */
function starts(file: string): readonly Row[] {
  fill(file, MANY_SESSIONS, 3);
  using heart = heartAt(file);
  const stick = auditCrypto.ephemeral();
  const deps = { heart: heart.audit, heartId: heart.id, crypto: auditCrypto, random: heartDeps().random, stick: () => ok(stick) };
  const first = performance.now();
  auditLog(deps).incident({ what: "first", detail: "", severity: 0 });
  const once = performance.now() - first;
  const times: number[] = [];
  for (let round = 0; round < 30; round++) {
    const start = performance.now();
    maximalHeads(deps);
    times.push(performance.now() - start);
    auditLog(deps).incident({ what: "round", detail: "", severity: 0 });
  }
  return [
    { what: `heads of ${MANY_SESSIONS} sessions, at a start`, unit: "ms", value: summarise(times), target: { at: "most", value: 5 } },
    { what: "  the first after a repair, with its commit", unit: "ms", value: summarise([once]) },
  ];
}

const PUT_LEAF = "insert into leaf (session, hlc, actor, seq, leaves, mac) values (?, ?, ?, ?, ?, zeroblob(16))";

/** Through the heart's own tables, without a commit for each. Entries as the log writes them. */
function fill(file: string, sessions: number, size: number): void {
  const heart = heartAt(file);
  const { id } = heart;
  heart[Symbol.dispose]();
  using db = sqliteDriver.open(file, { create: false, readOnly: false });
  db.exec("pragma synchronous = off; pragma journal_mode = memory; begin");
  const { crypto, files } = heartDeps();
  const bytes = files.read(join(`${file}.keys`, KEY_FILE), KEY_FILE_LIMIT);
  const key = bytes.ok && bytes.value !== null ? readKeyFile(bytes.value, crypto) : null;
  if (key === null || !key.ok) throw new Error("no key");
  const mac = rowMac(crypto, key.value.key);
  const stick = auditCrypto.ephemeral();
  let head: { session: string; size: number; root: string } | null = null;
  let hlc = 1;
  for (let s = 1; s <= sessions; s++) {
    const session = heartDeps().random.bytes(16).toHex();
    const own = auditCrypto.ephemeral();
    const certificate = stick.sign(utf8.encode(certificateText({ heart: id, session, key: own.publicKey.toHex() }))).toHex();
    const frontier = new Frontier(sha256);
    const ref = Uint8Array.fromHex(session);
    for (let seq = 0; seq < size; seq++) {
      const common = { version: 1, session, seq, hlc: ++hlc } as const;
      const leaf = entryText(
        seq === 0
          ? {
              ...common,
              kind: "genesis",
              heart: id,
              stick: stick.publicKey.toHex(),
              key: own.publicKey.toHex(),
              certificate,
              clock: 0,
              heads: head === null ? [] : [head],
            }
          : {
              ...common,
              kind: "intent",
              subject: "file_ops",
              operation: "read",
              object: `notes/${seq}.txt`,
              label: { c: 1, k: ["files"], i: 3, p: ["console"] },
              decision: "allow",
              rule: "default",
              policy: "0".repeat(64),
              effect: "0".repeat(64),
              payload: "0".repeat(64),
              reference: "0".repeat(32),
              severity: 0,
            },
      );
      frontier.push(leafHash(sha256, utf8.encode(leaf)));
      db.run(PUT_LEAF, ref, hlc, s, seq + 1, leaf);
    }
    const origin = originOf(id, session);
    const root = frontier.root();
    const note = signNote(checkpointText({ origin, size, root }), { name: origin, publicKey: own.publicKey }, own.sign, sha256);
    // Sealed, because a start believes no other.
    const cell = ["audit", session, note, 1, s, size + 1, 0, "[]", 3, "[]"];
    db.run(`insert into cell values (${[...cell, ""].map(() => "?").join(", ")})`, ...cell, mac.seal("cell", cell));
    head = { session, size, root: root.toHex() };
  }
  db.exec("commit");
}

function proofs(file: string): readonly Row[] {
  const opened = openAuditFile(heartDeps(), file);
  if (!opened.ok) throw new Error(opened.error.kind);
  using log = opened.value;
  const notes = log.checkpoints().slice(0, 40);
  const times = notes.map(({ key, note }, i) => {
    const start = performance.now();
    const leaves = log.leavesOf(key);
    const proof = proveInclusion({ heart: log.heart, leaves, checkpoint: note, index: (i * 37) % leaves.length, anchored: 0 }, auditCrypto);
    const took = performance.now() - start;
    if (checkProof(JSON.stringify(proof), [], auditCrypto).kind !== "proved") throw new Error("a proof that proves nothing");
    return took;
  });
  return [{ what: `inclusion proof in ${LARGE} entries`, unit: "ms", value: summarise(times.slice(5)), target: { at: "most", value: 5 } }];
}

/** In a process of its own, so that its memory is its own. */
async function verified(file: string): Promise<readonly Row[]> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../support/audit-child.ts"), file], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const said = JSON.parse(await child.stdout.text()) as {
    readonly entries: number;
    readonly ms: number;
    readonly peak: number;
    readonly count: number;
  };
  if (said.count !== 0 || said.entries !== LARGE) throw new Error(JSON.stringify(said));
  return [
    {
      what: `verify ${LARGE} entries`,
      unit: "entries/s",
      value: summarise([said.entries / (said.ms / 1000)]),
      target: { at: "least", value: 10_000 },
    },
    { what: "  memory at its peak", unit: "MB", value: summarise([said.peak / 2 ** 20]), target: { at: "most", value: 200 } },
  ];
}
