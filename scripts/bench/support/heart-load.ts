import { copyFileSync, cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Hlc } from "../../../src/heart/hlc.ts";
import { readKeyFile } from "../../../src/heart/key-file.ts";
import { type RowMac, rowMac } from "../../../src/heart/mac.ts";
import { openHeart } from "../../../src/heart/open.ts";
import type { HeartError } from "../../../src/heart/port.ts";
import { PRAGMAS } from "../../../src/heart/schema.ts";
import type { SqlDatabase, SqlValue } from "../../../src/heart/sql.ts";
import { CELL, type MergedTable, TASK_DOT, TASK_REMOVE } from "../../../src/heart/tables.ts";
import { type Stamps, WritingSession } from "../../../src/heart/writer.ts";
import type { Millis } from "../../../src/lib/brand.ts";
import { ok, type Result } from "../../../src/lib/result.ts";
import { heartDeps } from "../../../src/platform/heart.ts";
import { sqliteDriver } from "../../../src/platform/sqlite/driver.ts";
import { type Edit, Op } from "./heart-ops.ts";

/** Writes many rows into a heart, a thousand edits in a transaction: the API acknowledges each write by a commit of its own. */

export const heartFile = (folder: string): string => join(folder, "heart.sqlite");
export const placeIn = (folder: string) => ({ file: heartFile(folder), keysDir: join(folder, "keys") });

export function makeHeart(folder: string): void {
  mkdirSync(folder, { recursive: true });
  must(openHeart(heartDeps(), placeIn(folder), 0 as Millis))[Symbol.dispose]();
}

/** Another copy of the heart, with its keys. */
export function copyHeart(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  copyFileSync(heartFile(from), heartFile(to));
  cpSync(join(from, "keys"), join(to, "keys"), { recursive: true });
}

/**
 * What the rows are written with. `sealed` as the heart does it; `bare` puts the same rows with the same numbers, with zeros for
 * seals and without counting streams: the least that SQLite needs for these rows.
 */
export type Loading = "sealed" | "bare";

export interface LoadOptions {
  readonly loading?: Loading;
  readonly durable?: boolean;
  readonly cacheMb?: number;
}

export class HeartLoader implements Disposable {
  readonly #db: SqlDatabase;
  readonly #mac: Pick<RowMac, "seal">;
  readonly #begin: () => Session;
  #session: Session;

  /** `durable: false` for what is written while no clock runs. `cacheMb` for hearts that are larger than SQLite's own cache. */
  constructor(folder: string, { loading = "sealed", durable = true, cacheMb }: LoadOptions = {}) {
    this.#db = sqliteDriver.open(heartFile(folder), { create: false, readOnly: false });
    this.#db.exec(PRAGMAS);
    if (!durable) this.#db.exec("pragma synchronous = off; pragma journal_mode = memory");
    if (cacheMb !== undefined) this.#db.exec(`pragma cache_size = ${-1024 * cacheMb}`);
    const db = this.#db;
    if (loading === "sealed") {
      const mac = macOf(folder);
      const { clock, random, writer } = heartDeps();
      const env = { file: heartFile(folder), mac, clock, random, writer, buildDate: 0 as Millis };
      this.#mac = mac;
      this.#begin = () => new WritingSession(db, env);
    } else {
      this.#mac = { seal: () => NO_SEAL };
      this.#begin = () => new BareSession(db);
    }
    this.#session = this.#begin();
  }

  /** The edits after this belong to another writing session. */
  nextSession(): void {
    this.#session = this.#begin();
  }

  write(edits: Iterable<Edit>): void {
    const work = (stamps: Stamps): Result<void, HeartError> => {
      for (const edit of edits) this.#put(stamps, edit);
      return ok(undefined);
    };
    must(this.#session.transact(work));
  }

  [Symbol.dispose](): void {
    this.#db[Symbol.dispose]();
  }

  #put(stamps: Stamps, { op, at, value }: Edit): void {
    if (op === Op.SET) this.#set(stamps, registerName(at), value);
    else if (op === Op.ADD) this.#add(stamps, elementId(at));
    else this.#remove(stamps, elementId(at));
  }

  #set(stamps: Stamps, key: string, value: string): void {
    const old = this.#db.get("select hlc, actor, seq from cell where ns = 'state' and k = ?", key);
    stamps.replaced(old);
    const hlc = stamps.stamp(Number(old?.["hlc"] ?? 0) as Hlc);
    this.#seal(CELL, PUT_CELL, ["state", key, value, hlc, stamps.actor, stamps.seq(), 1, "[]", 3, "[]"]);
  }

  #add(stamps: Stamps, elem: Uint8Array): void {
    const old = this.#db.get("select hlc, actor, seq from task_dot where elem = ? and actor = ?", elem, stamps.actor);
    stamps.replaced(old);
    this.#seal(TASK_DOT, PUT_DOT, [elem, stamps.actor, stamps.seq(), stamps.stamp(Number(old?.["hlc"] ?? 0) as Hlc)]);
  }

  #remove(stamps: Stamps, elem: Uint8Array): void {
    for (const dot of this.#db.all("select hlc, actor, seq from task_dot where elem = ?", elem)) {
      const actor = Number(dot["actor"]);
      stamps.replaced(dot);
      this.#db.run("delete from task_dot where elem = ? and actor = ?", elem, actor);
      stamps.replaced(
        this.#db.get("select actor, seq from task_remove where elem = ? and dot_actor = ? and actor = ?", elem, actor, stamps.actor),
      );
      const hlc = stamps.stamp(Number(dot["hlc"]) as Hlc);
      this.#seal(TASK_REMOVE, PUT_REMOVE, [elem, actor, Number(dot["seq"]), hlc, stamps.actor, stamps.seq()]);
    }
  }

  #seal({ name }: MergedTable, sql: string, columns: readonly SqlValue[]): void {
    this.#db.run(sql, ...columns, this.#mac.seal(name, columns));
  }
}

type Session = Pick<WritingSession, "transact">;

/** Stamps and numbers for rows, one transaction at a time, and nothing else. */
class BareSession implements Session {
  readonly #db: SqlDatabase;
  readonly #actor = 1 + Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);
  #seq = 0;
  #last = 0;

  constructor(db: SqlDatabase) {
    this.#db = db;
  }

  transact<T>(work: (stamps: Stamps) => Result<T, HeartError>): Result<T, HeartError> {
    this.#db.exec("begin immediate");
    const result = work({
      actor: this.#actor,
      clock: 0,
      epoch: 0,
      seq: () => ++this.#seq,
      replaced: () => undefined,
      fact: () => undefined,
      stamp: (visible) => (this.#last = Math.max(this.#last, visible) + 1) as Hlc,
    });
    this.#db.run(PUT_VV, this.#actor, this.#seq, NO_SEAL);
    this.#db.exec("commit");
    return result;
  }
}

const NO_SEAL = new Uint8Array(16);

function macOf(folder: string): RowMac {
  const { crypto } = heartDeps();
  return rowMac(crypto, must(readKeyFile(readFileSync(join(folder, "keys/heart.json")), crypto)).key);
}

export const registerName = (at: number): string => `register-${at}`;

/** 16 bytes that are spread like random ones, and tell their number (`elementAt`). */
export function elementId(at: number): Uint8Array {
  const id = new Uint8Array(16);
  const view = new DataView(id.buffer);
  view.setUint32(0, Math.imul(at, 2_654_435_761));
  view.setUint32(12, at);
  return id;
}

export const elementAt = (id: Uint8Array): number => new DataView(id.buffer, id.byteOffset).getUint32(12);

export function must<T, E>(result: Result<T, E>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

const put = ({ name, columns, merge }: MergedTable): string => {
  const set = columns.filter((column) => !merge.key.includes(column)).map((column) => `${column} = excluded.${column}`);
  return `insert into ${name} (${columns.join(", ")}, mac) values (${columns.map(() => "?").join(", ")}, ?)
    on conflict (${merge.key.join(", ")}) do update set ${set.join(", ")}, mac = excluded.mac`;
};
const PUT_CELL = put(CELL);
const PUT_DOT = put(TASK_DOT);
const PUT_REMOVE = put(TASK_REMOVE);
const PUT_VV = "insert into vv (actor, seq, mac) values (?, ?, ?) on conflict (actor) do update set seq = excluded.seq";
