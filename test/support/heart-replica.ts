import { expect } from "bun:test";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { forkHeart } from "../../src/heart/care/fork.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies, type HeartCopies } from "../../src/heart/copies.ts";
import { KEY_FILE } from "../../src/heart/key-file.ts";
import { hlcOf, millisOf, type Hlc } from "../../src/heart/hlc.ts";
import { leavesIn } from "../../src/heart/leaf-groups.ts";
import { liveHeads, sizeOf } from "../../src/heart/live-heads.ts";
import type { MergeReport } from "../../src/heart/merge/merge.ts";
import { openHeart, type OpenHeart } from "../../src/heart/open.ts";
import type { HeartDeps } from "../../src/heart/ports.ts";
import type { SqlDatabase, SqlValue } from "../../src/heart/sql.ts";
import { countStreams } from "../../src/heart/streams.ts";
import { MERGED, TASK_REMOVE } from "../../src/heart/tables.ts";
import type { MessageId, Millis, SessionId } from "../../src/lib/brand.ts";
import type { Label } from "../../src/lib/label.ts";
import type { Random } from "../../src/lib/ports.ts";
import type { Result } from "../../src/lib/result.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { BUILD, draft, must, placeIn, textOf } from "./heart.ts";
import { tempDir, type TempDir } from "./noctem.ts";
import { unjournalled } from "./unsynced.ts";

/**
 * Copies of one heart that diverge and merge, beside an oracle that knows nothing of rows, vectors or tables: what was done, and for each
 * copy the set of what it has heard of. What a copy must show follows from that set alone.
 */

/** What is done, in the order of a case. Numbers choose among what is there, so that every list of commands can be run and shrunk. */
export type Command =
  | { readonly kind: "advance"; readonly by: number }
  | { readonly kind: "skew"; readonly at: number; readonly by: number }
  | { readonly kind: "set"; readonly at: number; readonly key: number; readonly value: "new" | "same" | "none" }
  | { readonly kind: "remember"; readonly at: number; readonly key: number; readonly value: "new" | "same" }
  | { readonly kind: "forget"; readonly at: number; readonly key: number }
  | { readonly kind: "add"; readonly at: number }
  | { readonly kind: "rename" | "remove" | "restore"; readonly at: number; readonly task: number }
  | { readonly kind: "count"; readonly at: number; readonly detail: boolean }
  | { readonly kind: "enter" | "log" | "end" | "reopen" | "compact" | "keep"; readonly at: number }
  | { readonly kind: "say"; readonly at: number; readonly session: number; readonly parent: number }
  | { readonly kind: "redact" | "forgetEntry" | "dropSession" | "search" | "back"; readonly at: number; readonly which: number }
  | { readonly kind: "resolve"; readonly at: number; readonly which: number; readonly how: "restore" | "dismiss" }
  | { readonly kind: "retire"; readonly at: number; readonly other: number }
  | { readonly kind: "clone"; readonly at: number; readonly from: number; readonly fork: boolean }
  | { readonly kind: "pull"; readonly at: number; readonly from: number; readonly closed: boolean; readonly dry: boolean }
  | { readonly kind: "settle"; readonly without: number; readonly task: number; readonly again: boolean };

interface Done {
  /** Everything that its copy had heard of by then: what it happened after. */
  readonly saw: ReadonlySet<Operation>;
  /** The writing session, and how far its stream reached with it. */
  readonly actor: number;
  readonly end: number;
}

type What =
  | { readonly type: "value"; readonly key: string; readonly value: string | null }
  | { readonly type: "add"; readonly task: string }
  | { readonly type: "remove"; readonly task: string }
  | { readonly type: "incident"; readonly kind: string }
  | { readonly type: "message"; readonly id: string; readonly session: SessionId; readonly text: string }
  | { readonly type: "entry"; readonly id: string; readonly text: string }
  /** `size`: of the session's log, with it. */
  | { readonly type: "leaves"; readonly session: string; readonly text: string; readonly size: number; readonly ends: boolean }
  | { readonly type: "redaction"; readonly target: string };

/** `rank` of a value is what registers are ordered by: (hlc, actor, seq), read back from the row that the heart made. */
type Operation = Done & What & { readonly rank: readonly number[] };
type ValueWritten = Operation & { readonly type: "value" };

/** A file, and what the oracle knows of it. */
interface Kept {
  readonly file: Uint8Array;
  readonly keys: Uint8Array;
  readonly known: ReadonlySet<Operation>;
  readonly lost: readonly ValueWritten[];
}

interface Replica {
  readonly folder: string;
  heart: OpenHeart | null;
  /** A look past all of the heart's care. */
  view: SqlDatabase | null;
  /** The log's session of the process that has it open. */
  log: { readonly session: string; readonly note: string; readonly size: number } | null;
  skew: number;
  known: Set<Operation>;
  /** Values that lost against a concurrent one in a merge, and wait for a person. */
  lost: ValueWritten[];
  readonly kept: Kept[];
}

/** How often the interesting things happened, so that a test can say that they did. */
export interface Coverage {
  pulls: number;
  same: number;
  full: number;
  conflicts: number;
  fenced: number;
  pruned: number;
  settled: number;
  tasksRemoved: number;
}

export const coverage = (): Coverage => ({
  pulls: 0,
  same: 0,
  full: 0,
  conflicts: 0,
  fenced: 0,
  pruned: 0,
  settled: 0,
  tasksRemoved: 0,
});

const MINUTE = 60_000;
export const DAY = 86_400_000;
/** 300 days after the build: clocks that are 460 days behind stand before it, others do not. */
const START = BUILD + 300 * DAY;
const label: Label = { c: 1, k: ["heart"], i: 3, p: ["console"] };
const SESSIONS = ["5e".repeat(16), "6f".repeat(16)] as const;
const KEYS = ["one", "two"] as const;
const INCIDENT = "seal";

/** Memory where the system has a place for it: thousands of small files are made and thrown away. */
const FAST = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Every id of a case follows from its seed, so that a failure comes again. */
function seeded(seed: string): Random {
  let drawn = 0;
  return {
    bytes(n) {
      const out = new Uint8Array(n);
      for (let at = 0; at < n; at += 32) {
        const block = new Bun.CryptoHasher("sha256").update(`${seed} ${drawn++}`).digest();
        out.set(block.subarray(0, Math.min(32, n - at)), at);
      }
      return out;
    },
  };
}

/** Everything that copies agree on once they have met, whatever way it took. */
export function digest(folder: string): string {
  using db = sqliteDriver.open(placeIn(folder).file, { create: false, readOnly: true });
  const hash = new Bun.CryptoHasher("sha256");
  const add = (name: string, columns: readonly string[], from: string): void => {
    const rows = db.all(`select ${columns.join(", ")} from ${from} order by ${columns.map((_, i) => i + 1).join(", ")}`);
    hash.update(JSON.stringify([name, rows.map((row) => Object.values(row).map(plain))]));
  };
  for (const { name, columns, merge } of MERGED) {
    // Which removes were pruned is each copy's own matter.
    if (name === TASK_REMOVE.name) continue;
    const body = merge.kind === "grow" ? merge.body : null;
    if (body === null) add(name, columns, name);
    else add(name, [...columns, "salt", "body"], `${name} x left join ${body} b on b.n = x.n`);
  }
  add("vv", ["actor", "seq"], "vv");
  add("heads", ["k", "v"], "meta where k >= 'head:' and k < 'head;'");
  return hash.digest("hex");
}

const plain = (value: SqlValue): SqlValue => (value instanceof Uint8Array ? value.toHex() : value);

export class Fleet implements Disposable {
  readonly #dir: TempDir;
  readonly #random: Random;
  readonly #name: string;
  readonly replicas: readonly Replica[];
  readonly #covered: Coverage;
  #now = START;
  /** Of the replica that something is done at, before. */
  #clock = 0;
  #drawn = 0;
  #copies = 0;

  private constructor(name: string, starts: readonly (Kept | null)[], covered: Coverage) {
    this.#dir = tempDir("noctem-fleet-", FAST);
    this.#name = name;
    this.#random = seeded(name);
    this.#covered = covered;
    this.replicas = starts.map((start, i) => {
      const folder = join(this.#dir.path, String(i));
      mkdirSync(folder);
      if (start !== null) putHeart(folder, start);
      return { folder, heart: null, view: null, log: null, skew: 0, known: new Set(start?.known), lost: [], kept: [] };
    });
  }

  /** As many copies of one heart with something in it. Those in `forked` have a replica's name of their own. */
  static start(seed: number, forked: readonly boolean[], covered: Coverage = coverage()): Fleet {
    const { plain, forks } = starts();
    return new Fleet(
      `case ${seed}`,
      forked.map((own, i) => (own ? (forks[i] ?? plain) : plain)),
      covered,
    );
  }

  /** The first heart of all, in an empty folder. */
  static first(): Fleet {
    const fleet = new Fleet("first", [null], coverage());
    fleet.#heartOf(fleet.#replica(0));
    return fleet;
  }

  [Symbol.dispose](): void {
    for (const replica of this.replicas) this.#shut(replica);
    this.#dir[Symbol.dispose]();
  }

  run(commands: readonly Command[]): void {
    for (const command of commands) {
      const changed = this.#do(command);
      if (changed !== null) this.#check(changed);
    }
  }

  /** A whole copy of a replica's folder as it stands, outside the fleet's numbering. */
  copyOf(at: number): string {
    const replica = this.#replica(at);
    const folder = join(this.#dir.path, `copy-${this.#copies++}`);
    cpSync(replica.folder, folder, { recursive: true });
    return folder;
  }

  /** Merges one folder's heart into another's, past the oracle. */
  join(into: string, from: string): MergeReport {
    return must(heartCopies(this.#deps(0), placeIn(into), BUILD).merge(placeIn(from).file, { dryRun: false }));
  }

  /** Everybody meets everybody, twice. After the first time all know all; the second time there is nothing to do. */
  converge(): void {
    for (const round of [1, 2]) {
      for (const [i, into] of this.replicas.entries()) {
        for (const [j, from] of this.replicas.entries()) {
          if (i === j) continue;
          const report = this.#pull(into, from);
          if (round === 2) expect(report.same).toBe(true);
        }
        this.#check(into);
      }
    }
    const digests = this.replicas.map(({ folder }) => digest(folder));
    expect(digests).toEqual(digests.map(() => digests[0] ?? ""));
    for (const replica of this.replicas) {
      expectForgotten(replica);
      this.#close(replica);
      const report = must(verifyHeart(this.#deps(replica.skew), placeIn(replica.folder)));
      expect(report.faults).toEqual([]);
      const file = bytesOf(replica.folder);
      expect(forgottenTexts(replica.known).filter((text) => file.includes(text))).toEqual([]);
    }
  }

  #replica(at: number): Replica {
    const replica = this.replicas[at % this.replicas.length];
    if (replica === undefined) throw new Error("a fleet without replicas");
    return replica;
  }

  #deps(skew: number): HeartDeps {
    const now = (): Millis => (this.#now + skew) as Millis;
    return heartDeps({ sql: unjournalled, random: this.#random, clock: { now, monotonic: () => this.#now } });
  }

  /** The clock is asked anew at each write, so that a heart that stays open feels how time and skew go on. */
  #depsOf(replica: Replica): HeartDeps {
    const now = (): Millis => (this.#now + replica.skew) as Millis;
    return { ...this.#deps(0), clock: { now, monotonic: () => this.#now } };
  }

  #heartOf(replica: Replica): OpenHeart {
    replica.heart ??= must(openHeart(this.#depsOf(replica), placeIn(replica.folder), BUILD));
    expect(replica.heart.mode.kind).toBe("stored");
    return replica.heart;
  }

  /** Leaves of a log that nobody signs: to the heart they are texts, and so is a checkpoint. */
  #log(replica: Replica, heart: OpenHeart, ends: boolean): void {
    if (replica.log === null && ends) return;
    const texts = replica.log === null ? [`{"certificate":"${this.#fresh()}"}`, this.#fresh()] : [this.#fresh()];
    const { session, note: after, size: before } = replica.log ?? { session: this.#random.bytes(16).toHex(), note: null, size: 0 };
    const size = before + texts.length;
    const note = `log of ${session}\n${size}\n`;
    const make = () => ({ leaves: texts, checkpoint: note });
    const written = must(heart.audit.append({ session, after, payloads: texts.map(() => null), make, isLast: ends }));
    // A merge that ended the writing session: the log begins anew.
    if (written === "moved") {
      replica.log = null;
      return;
    }
    replica.log = ends ? null : { session, note, size };
    const register: What = { type: "value", key: `audit/${session}`, value: note };
    this.#did(replica, null, { type: "leaves", session, text: texts.join(" "), size, ends }, ...(ends ? [register] : []));
  }

  #close(replica: Replica): void {
    replica.heart?.[Symbol.dispose]();
    replica.heart = null;
    replica.log = null;
  }

  /** Before another file comes in its place. */
  #shut(replica: Replica): void {
    this.#close(replica);
    replica.view?.[Symbol.dispose]();
    replica.view = null;
  }

  #copiesOf(replica: Replica): HeartCopies {
    return heartCopies(this.#depsOf(replica), placeIn(replica.folder), BUILD);
  }

  #fresh(): string {
    // Ends in a letter, so that no word is the beginning of another.
    return `w${this.#name.replaceAll(" ", "")}x${this.#drawn++}z`;
  }

  /** Returns the replica that may have changed. */
  #do(command: Command): Replica | null {
    if ("at" in command) this.#clock = clockOf(this.#replica(command.at));
    switch (command.kind) {
      case "advance":
        this.#now += command.by;
        return null;
      case "settle":
        this.#settle(command);
        return null;
      case "skew":
        this.#replica(command.at).skew = command.by;
        return null;
      case "reopen":
        this.#close(this.#replica(command.at));
        break;
      case "keep":
        this.#keep(this.#replica(command.at));
        break;
      case "back":
        this.#back(this.#replica(command.at), command.which);
        break;
      case "clone":
        this.#clone(this.#replica(command.at), this.#replica(command.from), command.fork);
        break;
      case "pull":
        this.#pullAs(command);
        break;
      case "compact":
        this.#compact(this.#replica(command.at));
        break;
      case "retire":
        this.#retire(this.#replica(command.at), this.#replica(command.other));
        break;
      case "resolve":
        this.#resolve(this.#replica(command.at), command.which, command.how);
        break;
      default:
        this.#write(command);
    }
    return this.#replica(command.at);
  }

  #write(command: Extract<Command, { at: number }>): void {
    const replica = this.#replica(command.at);
    const heart = this.#heartOf(replica);
    const key = "key" in command ? (KEYS[command.key % KEYS.length] ?? "") : "";
    switch (command.kind) {
      case "set": {
        const value = command.value === "none" ? null : command.value === "same" ? "same" : this.#fresh();
        this.#did(replica, heart.state.set(key, value), { type: "value", key: `state/${key}`, value });
        return;
      }
      case "remember": {
        const value = command.value === "same" ? "same" : this.#fresh();
        this.#did(replica, heart.memory.remember(key, value, label), { type: "value", key: `memory/${key}`, value });
        return;
      }
      case "forget": {
        const result = heart.memory.forget(key);
        const register = `memory/${key}`;
        expect(result.ok).toBe((standing(replica.known, register)?.value ?? null) !== null);
        if (!result.ok) return;
        replica.lost = replica.lost.filter((lost) => lost.key !== register);
        this.#did(replica, result, { type: "value", key: register, value: null });
        return;
      }
      case "add": {
        const title = this.#fresh();
        const { id } = must(heart.tasks.add({ title }));
        this.#did(replica, null, { type: "add", task: id }, titleOf(id, title));
        return;
      }
      case "rename":
      case "remove":
      case "restore":
        this.#changeTask(replica, heart, command);
        return;
      case "count": {
        const detail = this.#fresh();
        const result = heart.incidents.count(INCIDENT, 3, command.detail ? detail : undefined);
        const said: What = { type: "value", key: `incident/${INCIDENT}.3.detail`, value: detail };
        this.#did(replica, result, { type: "incident", kind: INCIDENT }, ...(command.detail ? [said] : []));
        return;
      }
      case "enter": {
        const text = this.#fresh();
        const { id } = must(heart.entries.append({ kind: "skill", body: text, label }));
        this.#did(replica, null, { type: "entry", id, text });
        return;
      }
      case "log":
      case "end":
        this.#log(replica, heart, command.kind === "end");
        return;
      case "say": {
        const session = (SESSIONS[command.session % SESSIONS.length] ?? "") as SessionId;
        const there = operations(replica.known, "message").filter((message) => message.session === session);
        const parent = there[command.parent % (there.length + 1)]?.id ?? null;
        const text = this.#fresh();
        const { id } = must(heart.append(draft(session, parent as MessageId | null, text)));
        this.#did(replica, null, { type: "message", id, session, text });
        return;
      }
      case "redact":
      case "forgetEntry": {
        const [type, forget] =
          command.kind === "redact"
            ? (["message", (id: string) => heart.redact(id as MessageId)] as const)
            : (["entry", (id: string) => heart.entries.forget(id)] as const);
        const there = operations(replica.known, type);
        // The newest first: what is said and forgotten before anybody hears of it travels without its text.
        const target = there.at(-1 - (command.which % Math.max(there.length, 1)))?.id;
        if (target === undefined) return;
        const already = redacted(replica.known).has(target);
        must(forget(target));
        if (!already) this.#did(replica, null, { type: "redaction", target });
        return;
      }
      case "dropSession": {
        const session = (SESSIONS[command.which % SESSIONS.length] ?? "") as SessionId;
        const all = operations(replica.known, "message").filter((message) => message.session === session);
        const gone = redacted(replica.known);
        const live = all.filter((message) => !gone.has(message.id));
        const result = heart.deleteSession(session);
        expect(result.ok ? result.value.forgotten : null).toBe(all.length === 0 ? null : live.length);
        if (live.length > 0) this.#did(replica, null, ...live.map(({ id }) => ({ type: "redaction", target: id }) as const));
        return;
      }
      case "search": {
        const there = operations(replica.known, "message");
        const message = there[command.which % Math.max(there.length, 1)];
        if (message === undefined) return;
        const hits = redacted(replica.known).has(message.id) ? 0 : 1;
        expect(heart.search(message.text, 9).hits.filter((hit) => hit.excerpt === message.text)).toHaveLength(hits);
        return;
      }
      default:
        throw new Error(`no write: ${command.kind}`);
    }
  }

  #changeTask(
    replica: Replica,
    heart: OpenHeart,
    command: { readonly kind: "rename" | "remove" | "restore"; readonly task: number },
  ): void {
    // Of all copies: a task that this one has not heard of is not found.
    const all = [...new Set(this.replicas.flatMap(({ known }) => operations(known, "add").map(({ task }) => task)))].sort();
    const id = all[command.task % Math.max(all.length, 1)];
    if (id === undefined) return;
    const there = tasksOf(replica.known).has(id);
    const title = this.#fresh();
    switch (command.kind) {
      case "rename": {
        const result = heart.tasks.update(id, { title });
        expect(result.ok).toBe(there);
        if (result.ok) this.#did(replica, result, titleOf(id, title));
        return;
      }
      case "remove": {
        const result = heart.tasks.remove(id);
        expect(result.ok).toBe(there);
        if (result.ok) this.#did(replica, result, { type: "remove", task: id });
        return;
      }
      case "restore": {
        const result = heart.tasks.restore(id);
        expect(result.ok).toBe(operations(replica.known, "add").some(({ task }) => task === id));
        if (result.ok) this.#did(replica, result, { type: "add", task: id });
        return;
      }
    }
  }

  /** Writes down what a replica did, in one transaction. */
  #did(replica: Replica, result: Result<unknown, unknown> | null, ...all: readonly What[]): void {
    if (result !== null) must(result);
    const db = viewOf(replica);
    const before = streamsOf(replica.known);
    const moved = db.all("select actor, seq from vv").filter((row) => before.get(Number(row["actor"])) !== row["seq"]);
    // One transaction moves one stream, that of who wrote.
    expect(moved).toHaveLength(1);
    const [actor, end] = [Number(moved[0]?.["actor"]), Number(moved[0]?.["seq"])];
    // Whatever stamp was written over: five minutes ahead at most, and a step for each row.
    expect(clockOf(replica)).toBeLessThan(
      hlcOf((Math.max(millisOf(this.#clock as Hlc), this.#now + replica.skew) + 5 * MINUTE + 2) as Millis),
    );
    const saw = new Set(replica.known);
    for (const what of all) {
      let rank: readonly number[] = [];
      if (what.type === "value") {
        const [ns, k] = split(what.key);
        const row = db.get("select v, hlc, actor, seq from cell where ns = ? and k = ?", ns, k);
        expect([row?.["v"], row?.["actor"]]).toEqual([what.value, actor]);
        rank = [Number(row?.["hlc"]), Number(row?.["actor"]), Number(row?.["seq"])];
        // Who had seen a value beats it, whatever the clocks say.
        for (const other of operations(saw, "value")) {
          if (other.key === what.key)
            expect({ rank, beats: other.rank, yes: Number(rank[0]) > Number(other.rank[0]) }).toMatchObject({ yes: true });
        }
      }
      replica.known.add({ ...what, saw, actor, end, rank });
    }
  }

  #pullAs({ at, from, closed, dry }: Extract<Command, { kind: "pull" }>): void {
    const [into, source] = [this.#replica(at), this.#replica(from)];
    if (into === source) {
      const result = this.#copiesOf(into).merge(placeIn(source.folder).file, { dryRun: false });
      expect(result.ok ? null : result.error.kind).toBe("same-file");
      return;
    }
    if (closed) for (const replica of [into, source]) this.#close(replica);
    else for (const replica of [into, source]) this.#heartOf(replica);
    if (!dry) return void this.#pull(into, source);
    const before = bytesOf(into.folder);
    const said = must(this.#copiesOf(into).merge(placeIn(source.folder).file, { dryRun: true }));
    expect(bytesOf(into.folder).equals(before)).toBe(true);
    this.#check(into);
    expect(this.#pull(into, source)).toEqual(said);
  }

  #pull(into: Replica, from: Replica): MergeReport {
    const before = clockOf(into);
    const theirs = clockOf(from);
    const untouched = bytesOf(from.folder);
    const report = must(this.#copiesOf(into).merge(placeIn(from.folder).file, { dryRun: false }));
    expect(bytesOf(from.folder).equals(untouched)).toBe(true);
    const after = clockOf(into);
    const fence = hlcOf((this.#now + into.skew + 5 * MINUTE) as Millis);
    // A clock far ahead is not followed; one that is believed is.
    expect(after).toBe(report.same || theirs <= before || theirs > fence ? before : theirs);
    this.#lose(into, from, report);
    for (const operation of from.known) into.known.add(operation);
    expectCounted(into);
    const covered = this.#covered;
    covered.pulls++;
    covered.same += report.same ? 1 : 0;
    covered.full += report.mode === "full" ? 1 : 0;
    covered.conflicts += report.conflicts;
    covered.fenced += report.fenced.rows;
    covered.tasksRemoved += report.tasksRemoved;
    return report;
  }

  /** What a merge has to keep of two values of which neither writer had seen the other's. */
  #lose(into: Replica, from: Replica, report: MergeReport): void {
    let conflicts = 0;
    for (const key of keysOf(from.known)) {
      const [ours, theirs] = [standing(into.known, key), standing(from.known, key)];
      if (theirs === null || into.known.has(theirs)) continue;
      const wins = ours === null || compare(theirs.rank, ours.rank) > 0;
      const [winner, loser] = wins ? [theirs, ours] : [ours, theirs];
      const memory = key.startsWith("memory/");
      const concurrent = ours !== null && !from.known.has(ours) && ours.value !== theirs.value;
      if (concurrent && loser !== null && !(memory && winner.value === null)) {
        // Both had a copy that had not heard of the other.
        expect([ours.saw.has(theirs), theirs.saw.has(ours)]).toEqual([false, false]);
        into.lost.push(loser);
        conflicts++;
      }
      if (memory && wins && theirs.value === null) into.lost = into.lost.filter((lost) => lost.key !== key);
    }
    expect(report.conflicts).toBe(conflicts);
  }

  #compact(replica: Replica): void {
    const { pruned, settled } = must(this.#copiesOf(replica).compact());
    this.#covered.pruned += pruned;
    this.#covered.settled += settled;
    expectCounted(replica);
  }

  /**
   * A week passes; all but one write, meet each other until each knows that all know, and tidy up. A task is removed and its removal
   * pruned, while the one away, given up by then, goes on with a writing session of which the others have heard the beginning. It would
   * rarely come together by chance.
   */
  #settle({ without, task, again }: Extract<Command, { kind: "settle" }>): void {
    this.#now += 8 * DAY;
    const away = this.replicas[without];
    const here = this.replicas.filter((replica) => replica !== away);
    const goesOn = (task: number): readonly Command[] =>
      away === undefined
        ? []
        : [
            { kind: "rename", at: without, task },
            { kind: "restore", at: without, task },
          ];
    this.run(goesOn(task));
    for (const [i, into] of here.entries()) {
      if (away !== undefined) this.#pull(into, away);
      if (away !== undefined && i === 0) this.#retire(into, away);
      const at = this.replicas.indexOf(into);
      this.run([
        { kind: "remove", at, task },
        task === 0 ? { kind: "remember", at, key: 0, value: "new" } : { kind: "set", at, key: 0, value: "new" },
      ]);
    }
    for (const round of [1, 2]) {
      for (const into of here) {
        for (const from of here) if (into !== from) this.#pull(into, from);
        if (round === 1) this.run([{ kind: "set", at: this.replicas.indexOf(into), key: 0, value: "new" }]);
      }
    }
    for (const replica of here) {
      this.#compact(replica);
      this.#check(replica);
    }
    if (away !== undefined) this.run(goesOn(again ? task : task + 1));
    // What lost to what is forgotten now is listed at some of the others.
    else if (task === 0) this.run([{ kind: "forget", at: this.replicas.length - 1, key: 0 }]);
  }

  #retire(replica: Replica, other: Replica): void {
    const id = nameOf(other);
    // Not always a command of its own: what this copy's clock showed by then is what it goes on from.
    this.#clock = clockOf(replica);
    const result = this.#copiesOf(replica).retire(id);
    if (result.ok) this.#did(replica, result, { type: "value", key: `replica/${id}`, value: "retired" });
    else expect(result.error.kind).toBe("not-found");
    if (id === nameOf(replica)) expect(result.ok).toBe(false);
  }

  #resolve(replica: Replica, which: number, how: "restore" | "dismiss"): void {
    const copies = this.#copiesOf(replica);
    const listed = must(copies.conflicts());
    expect(listed).toHaveLength(replica.lost.length);
    const conflict = listed[which % Math.max(listed.length, 1)];
    if (conflict === undefined) return;
    const key = `${conflict.namespace}/${conflict.key}`;
    const before = lostOf(replica);
    const result = must(how === "restore" ? copies.restore(conflict.id) : copies.dismiss(conflict.id));
    const now = new Set(lostOf(replica));
    const [gone] = before.filter((lost) => !now.has(lost));
    const lost = replica.lost.find((value) => dotOf(value) === gone);
    expect([lost?.key, lost?.value, lost?.actor]).toEqual([key, result.lost.value, result.lost.actor]);
    if (lost === undefined) return;
    replica.lost = replica.lost.filter((value) => value !== lost);
    if (how === "dismiss") return;
    const current = standing(replica.known, key);
    if (current !== null) replica.lost.push(current);
    this.#did(replica, null, { type: "value", key, value: lost.value });
  }

  #keep(replica: Replica): void {
    replica.kept.push(keptOf(replica.folder, new Set(replica.known), [...replica.lost]));
  }

  /** Puts an older file back, as a person does who copies last week's folder over this week's. */
  #back(replica: Replica, which: number): void {
    const kept = replica.kept[which % Math.max(replica.kept.length, 1)];
    if (kept === undefined) return;
    this.#shut(replica);
    writeFileSync(placeIn(replica.folder).file, kept.file);
    replica.known = new Set(kept.known);
    replica.lost = [...kept.lost];
  }

  #clone(replica: Replica, from: Replica, fork: boolean): void {
    if (replica === from) return;
    this.#shut(replica);
    if (fork) {
      rmSync(replica.folder, { recursive: true });
      const made = must(forkHeart(this.#depsOf(from), placeIn(from.folder), placeIn(replica.folder)));
      expect(made.replica).toBe(nameOf(replica));
      expect(made.replica).not.toBe(nameOf(from));
    } else {
      copyFileSync(placeIn(from.folder).file, placeIn(replica.folder).file);
    }
    replica.known = new Set(from.known);
    replica.lost = [...from.lost];
  }

  /** What the file holds, and what an open heart says, is what follows from the operations that this replica knows. */
  #check(replica: Replica): void {
    same(rowsOf(replica), expectedRows(replica));
    if (replica.heart !== null) same(saidBy(replica.heart), expectedSaying(replica));
  }
}

/** `toEqual` takes ten times as long, and is asked only for the difference that it shows. */
function same<T>(found: T, expected: T): void {
  if (!Bun.deepEquals(found, expected)) expect(found).toEqual(expected);
}

const bytesOf = (folder: string): Buffer => readFileSync(placeIn(folder).file);
const keyFileOf = (folder: string): string => join(placeIn(folder).keysDir, KEY_FILE);

const keptOf = (folder: string, known: ReadonlySet<Operation>, lost: readonly ValueWritten[]): Kept => ({
  file: bytesOf(folder),
  keys: readFileSync(keyFileOf(folder)),
  known,
  lost,
});

function putHeart(folder: string, { file, keys }: Kept): void {
  mkdirSync(placeIn(folder).keysDir);
  writeFileSync(keyFileOf(folder), keys);
  writeFileSync(placeIn(folder).file, file);
}

/** What every case begins with: one heart that has something in it, and forks of it, made once. */
function starts(): { readonly plain: Kept; readonly forks: readonly Kept[] } {
  if (made !== null) return made;
  using fleet = Fleet.first();
  fleet.run([
    { kind: "add", at: 0 },
    { kind: "add", at: 0 },
    { kind: "set", at: 0, key: 0, value: "new" },
    { kind: "remember", at: 0, key: 0, value: "new" },
    { kind: "say", at: 0, session: 0, parent: 0 },
    { kind: "enter", at: 0 },
    { kind: "reopen", at: 0 },
  ]);
  const known = fleet.replicas[0]?.known ?? new Set();
  const plain = fleet.copyOf(0);
  const forks = [0, 1, 2, 3, 4].map((i) => {
    const folder = `${plain}-fork-${i}`;
    must(forkHeart(heartDeps({ random: seeded(`fork ${i}`), sql: unjournalled }), placeIn(plain), placeIn(folder)));
    return keptOf(folder, known, []);
  });
  made = { plain: keptOf(plain, known, []), forks };
  return made;
}
let made: { readonly plain: Kept; readonly forks: readonly Kept[] } | null = null;

// The oracle: what follows from a set of operations.

function operations<T extends What["type"]>(known: ReadonlySet<Operation>, type: T): Extract<Operation, { readonly type: T }>[] {
  return [...known].filter((operation): operation is Extract<Operation, { readonly type: T }> => operation.type === type);
}

const keysOf = (known: ReadonlySet<Operation>): ReadonlySet<string> => new Set(operations(known, "value").map(({ key }) => key));

/** The greatest of the known values by (hlc, actor, seq). */
function standing(known: ReadonlySet<Operation>, key: string): ValueWritten | null {
  let best: ValueWritten | null = null;
  for (const value of operations(known, "value")) {
    if (value.key === key && (best === null || compare(value.rank, best.rank) > 0)) best = value;
  }
  return best;
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const difference = value - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Added, by someone whose adding no known remover had seen. */
function tasksOf(known: ReadonlySet<Operation>): ReadonlySet<string> {
  const removes = operations(known, "remove");
  const adds = operations(known, "add").filter((add) => !removes.some((remove) => remove.task === add.task && remove.saw.has(add)));
  return new Set(adds.map(({ task }) => task));
}

const redacted = (known: ReadonlySet<Operation>): ReadonlySet<string> =>
  new Set(operations(known, "redaction").map(({ target }) => target));

function forgottenTexts(known: ReadonlySet<Operation>): readonly string[] {
  const gone = redacted(known);
  const said = [...operations(known, "message"), ...operations(known, "entry")];
  return said.filter(({ id }) => gone.has(id)).map(({ text }) => text);
}

function streamsOf(known: ReadonlySet<Operation>): ReadonlyMap<number, number> {
  const ends = new Map<number, number>();
  for (const { actor, end } of known) ends.set(actor, Math.max(end, ends.get(actor) ?? 0));
  return ends;
}

const titleOf = (task: string, title: string): What => ({ type: "value", key: `task/${task}.title`, value: JSON.stringify(title) });
const split = (key: string): [string, string] => [key.slice(0, key.indexOf("/")), key.slice(key.indexOf("/") + 1)];
const sorted = <T extends string | number>(values: Iterable<T>): T[] => [...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
const dotOf = ({ key, value, rank }: ValueWritten): string => JSON.stringify([key, value, ...rank]);

/** Of each session that has not ended, as far as anybody told. */
function headsOf(known: ReadonlySet<Operation>): readonly string[] {
  const all = operations(known, "leaves");
  const open = new Set(all.map(({ session }) => session).filter((session) => !all.some((one) => one.session === session && one.ends)));
  return [...open].map((session) => `${session} ${Math.max(...all.flatMap((one) => (one.session === session ? [one.size] : [])))}`);
}

function expectedRows({ known, lost }: Replica) {
  const gone = redacted(known);
  const live = (type: "message" | "entry"): number => operations(known, type).filter(({ id }) => !gone.has(id)).length;
  return {
    values: sorted([...keysOf(known)].flatMap((key) => [standing(known, key)].flatMap((value) => (value === null ? [] : [dotOf(value)])))),
    tasks: sorted(tasksOf(known)),
    listed: sorted(tasksOf(known)),
    incidents: operations(known, "incident").length,
    messages: sorted(operations(known, "message").map(({ id }) => id)),
    entries: sorted(operations(known, "entry").map(({ id }) => id)),
    leaves: sorted(operations(known, "leaves").flatMap(({ session, text }) => text.split(" ").map((leaf) => `${session} ${leaf}`))),
    heads: sorted(headsOf(known)),
    redactions: sorted(gone),
    texts: [live("message"), live("entry")],
    streams: sorted([...streamsOf(known)].map(String)),
    sessions: sorted(streamsOf(known).keys()),
    lost: sorted(lost.map(dotOf)),
  };
}

/** Each session's leaves in their order, and its newest checkpoint. */
function logsOf(known: ReadonlySet<Operation>): readonly string[] {
  const sessions = new Map<string, string[]>();
  const sizes = new Map<string, number>();
  for (const { session, text, size } of operations(known, "leaves").toSorted((a, b) => a.size - b.size)) {
    sessions.set(session, [...(sessions.get(session) ?? []), ...text.split(" ")]);
    sizes.set(session, size);
  }
  return [...sessions].map(([session, leaves]) => `${session} ${leaves.join(" ")} log of ${session} ${sizes.get(session) ?? 0} `);
}

function expectedSaying({ known }: Replica) {
  const gone = redacted(known);
  const value = (key: string): string | null => standing(known, key)?.value ?? null;
  const tasks = sorted(tasksOf(known));
  return {
    state: KEYS.map((key) => value(`state/${key}`)),
    memory: KEYS.map((key) => value(`memory/${key}`)),
    tasks: tasks.map((id) => [id, JSON.parse(value(`task/${id}.title`) ?? "null") as unknown, false]),
    open: tasks,
    incidents: operations(known, "incident").length,
    detail: value(`incident/${INCIDENT}.3.detail`),
    entries: sorted(operations(known, "entry").map(({ id, text }) => `${id} ${gone.has(id) ? null : text}`)),
    logs: sorted(logsOf(known)),
    messages: SESSIONS.map((session) =>
      sorted(
        operations(known, "message")
          .filter((message) => message.session === session)
          .map(({ id, text }) => `${id} ${gone.has(id) ? null : text}`),
      ),
    ),
  };
}

// The heart: what its file holds, and what it says.

const viewOf = (replica: Replica): SqlDatabase =>
  (replica.view ??= sqliteDriver.open(placeIn(replica.folder).file, { create: false, readOnly: true }));

function rowsOf(replica: Replica): ReturnType<typeof expectedRows> {
  const db = viewOf(replica);
  const column = (sql: string): SqlValue[] => db.all(sql).map((row) => plain(Object.values(row)[0] ?? null));
  const strings = (sql: string): string[] => sorted(column(sql).map(String));
  const one = (sql: string): number => Number(column(sql)[0] ?? 0);
  const cells = (table: string): string[] =>
    sorted(
      db
        .all(`select ns, k, v, hlc, actor, seq from ${table}`)
        .map(({ ns, k, v, hlc, actor, seq }) => JSON.stringify([`${String(ns)}/${String(k)}`, v, hlc, actor, seq])),
    );
  return {
    values: cells("cell"),
    tasks: strings("select distinct elem from task_dot"),
    listed: strings("select elem from task_overview"),
    incidents: one("select sum(count) from incident"),
    messages: strings("select id from message"),
    entries: strings("select id from entry"),
    leaves: sorted(
      db
        .all("select session, leaves from leaf")
        .flatMap(({ session, leaves }) => leavesIn(String(leaves)).map((leaf) => `${String(plain(session ?? null))} ${leaf}`)),
    ),
    heads: sorted(liveHeads(db, null).map(({ session, note }) => `${session} ${sizeOf(note)}`)),
    redactions: strings("select distinct target from redaction"),
    texts: [one("select count(*) from message_body"), one("select count(*) from entry_body")],
    streams: strings("select actor || ',' || seq from vv"),
    sessions: sorted(column("select actor from actor").map(Number)),
    lost: cells("conflict"),
  };
}

function saidBy(heart: OpenHeart): ReturnType<typeof expectedSaying> {
  const incident = heart.incidents.list().find(({ kind }) => kind === INCIDENT);
  const tasks = heart.tasks.all();
  return {
    state: KEYS.map((key) => heart.state.get(key)),
    memory: KEYS.map((key) => heart.memory.recall(key)?.text ?? null),
    tasks: tasks.map(({ id, title, damaged }) => [id, title, damaged]),
    open: sorted(heart.tasks.open(99).map(({ id }) => id)),
    incidents: incident?.count ?? 0,
    detail: incident?.detail ?? null,
    entries: sorted(heart.entries.recent("skill", 99).map(({ id, body }) => `${id} ${body}`)),
    logs: sorted(
      heart.audit
        .checkpoints()
        .map(({ session, note }) => `${session} ${heart.audit.leaves(session).join(" ")} ${note.replaceAll("\n", " ")}`),
    ),
    messages: SESSIONS.map((session) =>
      sorted(heart.messages(session as SessionId).map((message) => `${message.id} ${message.redacted ? null : textOf(message)}`)),
    ),
  };
}

const lostOf = (replica: Replica): readonly string[] => rowsOf(replica).lost;

function clockOf(replica: Replica): number {
  const db = viewOf(replica);
  return Number(db.get("select v from meta where k = 'hlc'")?.["v"]);
}

function nameOf(replica: Replica): string {
  const db = viewOf(replica);
  return String(plain(db.get("select v from meta where k = 'replica'")?.["v"] ?? null));
}

/** Each stream holds the rows that the vector says it holds. */
function expectCounted(replica: Replica): void {
  const db = viewOf(replica);
  const counted = countStreams(db, "main");
  const claimed = db.all("select actor, held, total from vv").filter((row) => Number(row["held"]) > 0);
  const said = new Map(claimed.map((row) => [Number(row["actor"]), { rows: Number(row["held"]), total: Number(row["total"]) }]));
  same(said, counted);
}

/** Not a word of what was forgotten is left, in the file or in the search index, which keeps words in pieces. */
function expectForgotten(replica: Replica): void {
  const gone = redacted(replica.known);
  const bytes = bytesOf(replica.folder);
  const db = viewOf(replica);
  const forgotten = [...operations(replica.known, "message"), ...operations(replica.known, "entry")].filter(({ id }) => gone.has(id));
  for (const { text } of forgotten) {
    expect(bytes.includes(text)).toBe(false);
    expect(db.get("select count(*) as n from search where search match ?", text)).toEqual({ n: 0 });
  }
}
