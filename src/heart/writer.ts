import type { Millis } from "../lib/brand.ts";
import type { Clock, Random } from "../lib/ports.ts";
import { err, type Result } from "../lib/result.ts";
import { heartErrorOf, HeartFailure, rollback } from "./failure.ts";
import { readClock, tick, type Hlc } from "./hlc.ts";
import type { RowMac } from "./mac.ts";
import { type MetaFact, readMeta, writeMeta } from "./meta.ts";
import type { HeartError } from "./port.ts";
import type { Writer } from "./ports.ts";
import { SCHEMA_VERSION, versionOf } from "./schema.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";
import { type Bookkept, StreamBook, summaryOf, trustedStream, VV_COLUMNS } from "./streams.ts";

/** What one transaction hands out. */
export interface Stamps {
  readonly actor: number;
  /** Bits of `ClockFault`: what this writing session found wrong with the host's clock. */
  readonly clock: number;
  /** Another number once anybody else has written to the heart: what is remembered of it holds under the number that it was written under. */
  readonly epoch: number;
  /** The next number of this writing session's stream: for one row that this transaction writes. */
  seq(): number;
  /** Says that a row was replaced or removed, which its stream then no longer counts; `null` when there was none. */
  replaced(row: SqlRow | null): void;
  /** A fact of this file (`meta`), which is written with the bookkeeping. */
  fact(key: string, value: SqlValue): void;
  /** A stamp above `visible`, the stamp of what is overwritten or answered; 0 for nothing. */
  stamp(visible: Hlc | 0): Hlc;
}

export interface WriterEnvironment {
  readonly file: string;
  readonly mac: RowMac;
  readonly clock: Clock;
  readonly random: Random;
  readonly buildDate: Millis;
  readonly writer: Writer;
}

/**
 * One process's sitting at a heart: an actor of its own, made with its first write. (An id kept with the stick would be shared
 * by every copy of it, and two copies that share one never converge.)
 *
 * Several processes write to one heart. What they share, the newest stamp, is read inside each transaction; what is this
 * actor's alone, its seq, is kept here and moves on only when a commit succeeded.
 */
export class WritingSession {
  readonly #db: SqlDatabase;
  readonly #env: WriterEnvironment;
  #actor = 0;
  #seq = 0;
  #faults = 0;
  /** A clock leap that an earlier writing session noted; `undefined` before the first write. */
  #leap: Millis | null | undefined = undefined;
  #commits = 0;
  #epoch = 0;
  /** What the last commit left, and how it is known that it still stands. */
  #left: (Stands & Untouched) | null = null;
  #failed: HeartError | null = null;

  constructor(db: SqlDatabase, env: WriterEnvironment) {
    this.#db = db;
    this.#env = env;
  }

  /** Commits so far. */
  get commits(): number {
    return this.#commits;
  }

  /**
   * Runs `work` in one transaction; the bookkeeping (`vv`, stamps and summary in `meta`) is not work's to write. It is undone when `work` returns an error, when it drew no seq, and when SQLite fails.
   *
   * After an error of the medium every later call fails with it: whether the commit reached the medium is then unknown, and
   * only a heart opened anew can tell.
   */
  transact<T>(work: (stamps: Stamps) => Result<T, HeartError>): Result<T, HeartError> {
    if (this.#failed !== null) return err(this.#failed);
    try {
      // As statements that are kept compiled: a text is parsed anew each time.
      this.#db.run("begin immediate");
      const now = this.#untouched();
      const drawn = new Transaction(this.#db, this.#env, this.#begin(now));
      const result = work(drawn);
      if (!result.ok || !drawn.wrote) {
        rollback(this.#db);
        return result;
      }
      const after = drawn.finish();
      // Nobody else commits meanwhile, and one's own commits do not count.
      const left = { ...after.stands, version: now.version, changes: this.#changes() };
      this.#db.run("commit");
      this.#left = left;
      this.#actor = after.actor;
      this.#seq = after.seq;
      this.#faults = after.faults;
      this.#leap = after.leap;
      this.#commits++;
      return result;
    } catch (error) {
      rollback(this.#db);
      const failure = heartErrorOf(error, this.#env.file);
      if (failure.kind === "io") this.#failed = failure;
      return err(failure);
    }
  }

  /** Work on what is derived and local, in a transaction that stamps nothing. Not after an error of the medium. */
  maintain<T>(work: () => Result<T, HeartError>): Result<T, HeartError> {
    if (this.#failed !== null) return err(this.#failed);
    try {
      this.#db.exec("begin immediate");
      const result = work();
      this.#db.exec(result.ok ? "commit" : "rollback");
      return result;
    } catch (error) {
      rollback(this.#db);
      const failure = heartErrorOf(error, this.#env.file);
      if (failure.kind === "io") this.#failed = failure;
      return err(failure);
    }
  }

  #begin(now: Untouched): State {
    // Another file was put in place under an open heart, a restored backup for one: going on with this stream would leave a hole that every
    // vector covers. The file has the last word about how far a stream reached.
    const stands = this.#stands(now);
    if (this.#actor !== 0 && stands.book.stream?.seq !== this.#seq) {
      this.#actor = 0;
      this.#seq = 0;
    }
    const leap = this.#leap === undefined ? sealedNumber(readMeta(this.#db, "leap"), this.#env, "leap") : this.#leap;
    return {
      book: stands.book,
      actor: this.#actor === 0 ? this.#drawActor() : this.#actor,
      seq: this.#seq,
      faults: this.#faults,
      last: stands.last,
      leap: leap as Millis | null,
      epoch: this.#epoch,
      first: this.#seq === 0,
    };
  }

  /** What this session left, unless another connection has committed since or anything else was written over this one: then it is read, and its seals are looked at. */
  #stands({ version, changes }: Untouched): Stands {
    const left = this.#left;
    if (left !== null && version === left.version && changes === left.changes) return left;
    this.#epoch++;
    // An older file, put in place under an open heart.
    if (versionOf(this.#db) < SCHEMA_VERSION)
      throw new HeartFailure({ kind: "io", path: this.#env.file, detail: "a file of an older version was put in its place" });
    const row = this.#db.get(STANDS, this.#actor) ?? {};
    const { mac, file } = this.#env;
    return {
      last: (sealedNumber({ v: row["last"] ?? null, mac: row["last_mac"] ?? null }, this.#env, "hlc") ?? 0) as Hlc,
      book: {
        summary: summaryOf({ v: row["summary"] ?? null, mac: row["summary_mac"] ?? null }, mac),
        stream: (row["actor"] ?? null) === null ? null : trustedStream(row, mac, file),
      },
    };
  }

  /** Inside a transaction, where the file was looked at. */
  #untouched(): Untouched {
    return { version: this.#db.get("pragma data_version")?.["data_version"] ?? null, changes: this.#changes() };
  }

  /** Rows that this connection has written so far, with those that were undone. */
  #changes(): SqlValue {
    return this.#db.get("select total_changes() as n")?.["n"] ?? null;
  }

  /** 53 random bits. Two equal ones in a stick's life are not to be expected, but a look costs nothing. */
  #drawActor(): number {
    for (;;) {
      const actor = random53(this.#env.random);
      if (actor > 0 && this.#db.get("select 1 from vv where actor = ?", actor) === null) return actor;
    }
  }
}

/** All that a transaction goes on from: five looks would be five statements in each commit. */
const STANDS = `select h.v as last, h.mac as last_mac, s.v as summary, s.mac as summary_mac, ${[...VV_COLUMNS, "mac"].map((name) => `x.${name} as ${name}`).join(", ")}
  from (select ? as own) left join meta h on h.k = 'hlc' left join meta s on s.k = 'vector' left join vv x on x.actor = own`;

/** Nobody has written as long as both are the same. */
interface Untouched {
  /** Another one when another connection has committed. */
  readonly version: SqlValue;
  readonly changes: SqlValue;
}

/** `stream` of the book is this session's own; null for a new one. */
interface Stands {
  readonly last: Hlc;
  readonly book: Bookkept;
}

interface State {
  readonly book: Bookkept;
  readonly actor: number;
  readonly seq: number;
  readonly faults: number;
  readonly last: Hlc;
  readonly leap: Millis | null;
  readonly epoch: number;
  /** No transaction of this writing session was committed yet. */
  readonly first: boolean;
}

interface Finished {
  readonly actor: number;
  readonly seq: number;
  readonly faults: number;
  readonly leap: Millis | null;
  readonly stands: Stands;
}

class Transaction implements Stamps {
  readonly actor: number;
  readonly epoch: number;
  readonly #db: SqlDatabase;
  readonly #env: WriterEnvironment;
  readonly #before: State;
  readonly #wall: Millis;
  readonly #faults: number;
  readonly #newLeap: Millis | null;
  readonly #facts: MetaFact[] = [];
  readonly #gone = new Map<number, { rows: number; total: number }>();
  #seq: number;
  #last: Hlc;

  constructor(db: SqlDatabase, env: WriterEnvironment, before: State) {
    const reading = readClock(env.clock.now(), before.last, env.buildDate, before.leap);
    this.#db = db;
    this.#env = env;
    this.#before = before;
    this.actor = before.actor;
    this.epoch = before.epoch;
    this.#seq = before.seq;
    this.#last = before.last;
    this.#wall = reading.wall;
    this.#faults = before.faults | reading.faults;
    this.#newLeap = reading.leap;
    // The row of the writing session takes the first number of its stream.
    if (before.first) this.#seq++;
  }

  get clock(): number {
    return this.#faults;
  }

  get wrote(): boolean {
    return this.#seq > this.#before.seq + (this.#before.first ? 1 : 0);
  }

  seq(): number {
    return ++this.#seq;
  }

  replaced(row: SqlRow | null): void {
    if (row === null) return;
    const actor = Number(row["actor"]);
    // With what a newer version had written in that row, which may be what is being forgotten.
    const { changes } = this.#db.run("delete from aside where actor = ? and seq = ? and part = 1", actor, row["seq"] ?? null);
    const gone = this.#gone.get(actor) ?? { rows: 0, total: 0 };
    this.#gone.set(actor, { rows: gone.rows + 1 + changes, total: gone.total + (1 + changes) * Number(row["seq"]) });
  }

  fact(key: string, value: SqlValue): void {
    this.#facts.push([key, value]);
  }

  stamp(visible: Hlc | 0): Hlc {
    const next = tick(this.#last, visible, this.#wall);
    this.#last = next.last;
    return next.stamp;
  }

  /** Writes the bookkeeping, the version vector last. Returns what holds once the commit succeeded. */
  finish(): Finished {
    if (this.#before.first || this.#faults !== this.#before.faults) this.#writeActor();
    const leap = this.#noteLeap();
    const book = this.#countStreams();
    return { actor: this.actor, seq: this.#seq, faults: this.#faults, leap, stands: { last: this.#last, book } };
  }

  #countStreams(): Bookkept {
    const book = new StreamBook(this.#db, this.#env.mac, this.#env.file, this.#before.book);
    const drawn = this.#seq - this.#before.seq;
    const own = this.#gone.get(this.actor) ?? { rows: 0, total: 0 };
    this.#gone.delete(this.actor);
    for (const [actor, { rows, total }] of this.#gone) book.apply({ actor, seq: null, rows: -rows, total: -total });
    // The numbers drawn are consecutive.
    const total = (drawn * (this.#before.seq + 1 + this.#seq)) / 2;
    book.apply({ actor: this.actor, seq: this.#seq, rows: drawn - own.rows, total: total - own.total });
    return book.save(["hlc", this.#last], ...this.#facts);
  }

  #writeActor(): void {
    const device = this.#db.get("select v from meta where k = 'replica'")?.["v"] ?? new Uint8Array(16);
    const seq = this.#before.first ? 1 : this.seq();
    this.replaced(this.#db.get("select actor, seq from actor where actor = ?", this.actor));
    const { label, host } = this.#env.writer;
    const row: SqlValue[] = [this.actor, seq, this.stamp(0), device, label.toWellFormed(), host.toWellFormed(), this.#faults];
    this.#db.run(
      `insert into actor (actor, seq, hlc, device, label, host, clock, mac) values (?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (actor) do update set seq = excluded.seq, hlc = excluded.hlc, clock = excluded.clock, mac = excluded.mac`,
      ...row,
      this.#env.mac.seal("actor", row),
    );
  }

  /**
   * Notes a leap for later writing sessions to confirm, once per session, and strikes the note once it is settled.
   * What this session itself noted never counts as confirmation for it.
   */
  #noteLeap(): Millis | null {
    const { first, leap } = this.#before;
    if (!first) return leap;
    if (this.#newLeap !== null) writeMeta(this.#db, this.#env.mac, ["leap", this.#newLeap]);
    else if (leap !== null) this.#db.run("delete from meta where k = 'leap'");
    return this.#newLeap === null ? null : leap;
  }
}

/** `null` when there is no such row; throws `HeartFailure` when it is not what was written. */
function sealedNumber(row: SqlRow | null, env: WriterEnvironment, key: string): number | null {
  const value = row?.["v"] ?? null;
  if (row === null || value === null) return null;
  if (typeof value !== "number" || !env.mac.verify("meta", [key, value], row["mac"] ?? null)) {
    throw new HeartFailure({ kind: "damaged", path: env.file, detail: `the row "${key}" was altered` });
  }
  return value;
}

function random53(random: Random): number {
  const bytes = random.bytes(7);
  let value = 0;
  for (let i = 0; i < 7; i++) value = value * 256 + (i === 0 ? (bytes[0] ?? 0) & 0x1f : (bytes[i] ?? 0));
  return value;
}
