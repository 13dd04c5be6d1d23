import { join } from "node:path";
import { err, ok, type Result } from "../../lib/result.ts";
import { ASIDE_COLUMNS, isSealedAside } from "../aside.ts";
import { heartErrorOf, rollback } from "../failure.ts";
import { HLC_MAX } from "../hlc.ts";
import { KEY_FILE, KEY_FILE_LIMIT, readKeyFile } from "../key-file.ts";
import { leftBehind } from "../live-heads.ts";
import { equal, rowMac, type RowMac } from "../mac.ts";
import type { StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartCrypto, HeartDeps } from "../ports.ts";
import { bodyHash } from "../rows.ts";
import { isExactSchema, judgeHeader, READ_ONLY_PRAGMAS, SCHEMA_VERSION, versionOf } from "../schema.ts";
import { SqlError, type SqlDatabase, type SqlRow, type SqlValue } from "../sql.ts";
import { countStreams, digestOf, readStream, readSummary, streamDigest, sumFloors, VV_COLUMNS, type Stream } from "../streams.ts";
import { CELL, mergedAt, type MergedTable } from "../tables.ts";
import { WRONG_OVERVIEWS } from "../tasks.ts";

/** One thing that is not as it was written. */
export interface Fault {
  readonly kind:
    | "pages"
    | "tables"
    | "identity"
    | "note"
    | "summary"
    | "vector"
    | "count"
    | "seal"
    | "beyond-vector"
    | "stamp"
    | "text"
    | "text-missing"
    | "text-forgotten"
    | "removed-task"
    | "overview"
    | "floor"
    | "aside"
    | "conflict"
    | "unreadable";
  readonly table: string;
  /** Which one: a dot (`writing session:number`), an id in hex, or the name of a note; empty for the whole table. */
  readonly where: string;
  /** One sentence. */
  readonly detail: string;
}

export interface VerifyReport {
  /** The first of them, `MOST_FAULTS` at most. */
  readonly faults: readonly Fault[];
  readonly count: number;
  readonly rows: number;
  readonly streams: number;
  /** Streams of which rows are known to be missing: no fault, but something that a whole copy would fill in. */
  readonly gaps: number;
}

export interface VerifyProgress {
  /** What is looked at. */
  readonly table: string;
  readonly rows: number;
}

const MOST_FAULTS = 200;
/** Whose tables are looked at: an older backup has to be one that can be restored. */
const OLDEST = 2;
const REPORT_EVERY = 20_000;

/**
 * Looks at everything that stands in a heart's file: pages, tables, seals, texts, streams and what is derived. Reads only.
 *
 * Faults are the result; errors are what keeps one from looking at all: no file, no keys, another heart's keys.
 */
export function verifyHeart(
  deps: HeartDeps,
  place: StoredPlace,
  onProgress: (progress: VerifyProgress) => void = () => undefined,
): Result<VerifyReport, HeartError> {
  const { file } = place;
  const facts = deps.files.inspect(file);
  if (facts.kind !== "file") {
    const detail = facts.kind === "absent" || facts.kind === "no-folder" ? "there is no such file" : facts.detail;
    return err({ kind: "unreadable", path: file, detail });
  }
  const header = judgeHeader(facts.head);
  if (header.kind === "newer") return err({ kind: "newer", path: file, found: header.version, known: SCHEMA_VERSION });
  // Its tables are not those that are looked at here, and nothing is wrong with that.
  if (header.kind === "heart" && header.version < OLDEST) return err({ kind: "outdated", path: file });
  const bytes = deps.files.read(join(place.keysDir, KEY_FILE), KEY_FILE_LIMIT);
  if (!bytes.ok) return err({ kind: "keys-broken", path: join(place.keysDir, KEY_FILE), detail: bytes.error.detail });
  if (bytes.value === null) return err({ kind: "keys-missing", path: file });
  const key = readKeyFile(bytes.value, deps.crypto);
  if (!key.ok) return err({ kind: "keys-broken", path: join(place.keysDir, KEY_FILE), detail: key.error });
  try {
    using db = deps.sql.open(file, { create: false, readOnly: true });
    db.exec(READ_ONLY_PRAGMAS);
    const id = db.get("select v from meta where k = 'heart'")?.["v"];
    if (id instanceof Uint8Array && id.toHex() !== key.value.heart) return err({ kind: "foreign", path: file });
    const tables = mergedAt(versionOf(db));
    const check = new Check({ db, mac: rowMac(deps.crypto, key.value.key), crypto: deps.crypto, tables, onProgress });
    db.exec("begin");
    check.run(isExactSchema(db, deps));
    // A commit of nothing is refused where a broken page was met.
    rollback(db);
    return ok(check.report());
  } catch (error) {
    if (
      error instanceof SqlError &&
      (error.code.startsWith("SQLITE_CORRUPT") || error.code === "SQLITE_NOTADB" || error.code === "SQLITE_ERROR")
    ) {
      const fault: Fault = { kind: "pages", table: "", where: "", detail: `SQLite cannot read the file: ${error.message}.` };
      return ok({ faults: [fault], count: 1, rows: 0, streams: 0, gaps: 0 });
    }
    const failure = heartErrorOf(error, file);
    // Only a connection that may write can take back what was under way.
    return err(failure.kind === "read-only" || failure.kind === "io" ? { kind: "unfinished", path: file } : failure);
  }
}

interface CheckParts {
  readonly db: SqlDatabase;
  readonly mac: RowMac;
  readonly crypto: HeartCrypto;
  /** That a heart of its version has. */
  readonly tables: readonly MergedTable[];
  readonly onProgress: (progress: VerifyProgress) => void;
}

class Check {
  readonly #db: SqlDatabase;
  readonly #mac: RowMac;
  readonly #crypto: HeartCrypto;
  readonly #tables: readonly MergedTable[];
  readonly #onProgress: (progress: VerifyProgress) => void;
  readonly #faults: Fault[] = [];
  readonly #streams = new Map<number, Stream>();
  #count = 0;
  #rows = 0;

  constructor({ db, mac, crypto, tables, onProgress }: CheckParts) {
    this.#db = db;
    this.#mac = mac;
    this.#crypto = crypto;
    this.#tables = tables;
    this.#onProgress = onProgress;
  }

  report(): VerifyReport {
    const gaps = [...this.#streams.values()].filter((stream) => stream.gap).length;
    return { faults: this.#faults, count: this.#count, rows: this.#rows, streams: this.#streams.size, gaps };
  }

  run(exactSchema: boolean): void {
    this.#within("", () => {
      for (const row of this.#db.all("pragma integrity_check(50)")) {
        const said = String(row["integrity_check"]);
        if (said !== "ok") this.#fault("pages", "", "", `SQLite: ${said}.`);
      }
    });
    if (!exactSchema) this.#fault("tables", "", "", "Its tables are not those of a heart, to the letter.");
    this.#within("meta", () => this.#meta());
    this.#within("vv", () => this.#vector());
    for (const table of this.#tables) this.#within(table.name, () => this.#table(table));
    this.#within("vv", () => this.#counts());
    this.#within("message", () => this.#texts("message"));
    this.#within("entry", () => this.#texts("entry"));
    this.#within("task_dot", () => this.#tasks());
    this.#within("session_overview", () => this.#overviews());
    this.#within("aside", () => this.#kept());
  }

  #fault(kind: Fault["kind"], table: string, where: string, detail: string): void {
    this.#count++;
    if (this.#faults.length < MOST_FAULTS) this.#faults.push({ kind, table, where, detail });
  }

  /** A page that cannot be read ends the look at one table, not at all of them. */
  #within(table: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      this.#fault("unreadable", table, "", `A part of it cannot be read: ${error.message}.`);
    }
  }

  #meta(): void {
    const missing = new Set(["heart", "replica", "hlc"]);
    for (const row of this.#db.all("select k, v, mac from meta where k <> 'indexed'")) {
      const name = String(row["k"]);
      missing.delete(name);
      if (this.#mac.verify("meta", [row["k"] ?? null, row["v"] ?? null], row["mac"] ?? null)) continue;
      this.#fault(kindOfNote(name), "meta", name, `The note "${name}" is not what was written.`);
    }
    for (const name of missing) this.#fault(kindOfNote(name), "meta", name, `The note "${name}" is missing.`);
    for (const session of leftBehind(this.#db))
      this.#fault(
        "note",
        "meta",
        session,
        `Session ${session} of the log has ended, and an earlier checkpoint of it stands beside its last.`,
      );
  }

  #vector(): void {
    let sum = { streams: 0, seqs: 0, rows: 0, total: 0 };
    const seals: Stream[] = [];
    this.#db.each(`select ${[...VV_COLUMNS, "mac"].join(", ")} from vv`, (row) => {
      const stream = readStream(row, this.#mac);
      if (stream === null) {
        this.#fault(
          "vector",
          "vv",
          String(row["actor"]),
          `How far writing session ${String(row["actor"])} reaches is not what was written.`,
        );
        return;
      }
      seals.push(stream);
      this.#streams.set(stream.actor, stream);
      sum = { streams: sum.streams + 1, seqs: sum.seqs + stream.seq, rows: sum.rows + stream.rows, total: sum.total + stream.total };
    });
    const summary = readSummary(this.#db, this.#mac, "main");
    if (summary === null)
      return this.#fault("summary", "meta", "vector", "The summary of the version vector is missing or not what was written.");
    const { hot, cold, floors } = summary;
    const same =
      hot.streams + cold.streams === sum.streams &&
      hot.seqs + cold.seqs === sum.seqs &&
      hot.rows + cold.rows === sum.rows &&
      hot.total + cold.total === sum.total &&
      equal(digestOf(summary), streamDigest(this.#mac, seals));
    if (!same) this.#fault("summary", "vv", "", "The version vector does not add up to its sealed summary.");
    const found = sumFloors(this.#db, "main");
    if (found.rows !== floors.rows || found.seqs !== floors.seqs) {
      this.#fault("floor", "remove_floor", "", "The marks of what was pruned do not add up to their sealed sum.");
    }
    this.#db.each("select actor, seq, mac from remove_floor", (row) => {
      if (!this.#mac.verify("remove_floor", [row["actor"] ?? null, row["seq"] ?? null], row["mac"] ?? null)) {
        this.#fault(
          "floor",
          "remove_floor",
          String(row["actor"]),
          `The mark for writing session ${String(row["actor"])} is not what was written.`,
        );
      }
    });
  }

  #table({ name, columns }: MergedTable): void {
    let seen = 0;
    this.#db.each(`select ${[...columns, "mac"].join(", ")} from ${name}`, (row) => {
      this.#rows++;
      if (++seen % REPORT_EVERY === 0) this.#onProgress({ table: name, rows: seen });
      if (
        !this.#mac.verify(
          name,
          columns.map((column) => row[column] ?? null),
          row["mac"] ?? null,
        )
      ) {
        this.#fault("seal", name, dotOf(row), `Row ${spelt(row)} is not what was written.`);
        return;
      }
      this.#withinVector(name, `Row ${spelt(row)}`, row);
      if (!isStamp(row["hlc"]) || Number(row["seq"]) < 1) {
        this.#fault("stamp", name, dotOf(row), `Row ${spelt(row)} is stamped with a time that no clock says.`);
      }
    });
    this.#onProgress({ table: name, rows: seen });
  }

  #withinVector(table: string, what: string, row: SqlRow): void {
    const stream = this.#streams.get(Number(row["actor"]));
    if (stream !== undefined && (Number(row["seq"]) <= stream.seq || stream.gap)) return;
    this.#fault("beyond-vector", table, dotOf(row), `${what} lies beyond the version vector.`);
  }

  #counts(): void {
    const counted = countStreams(this.#db, "main", this.#tables);
    for (const [actor, stream] of this.#streams) {
      const found = counted.get(actor) ?? { rows: 0, total: 0 };
      if (found.rows === stream.rows && found.total === stream.total) continue;
      const missing = stream.rows - found.rows;
      const what =
        missing > 0 ? `${missing} rows are missing` : missing < 0 ? `there are ${-missing} rows too many` : "rows were exchanged";
      this.#fault("count", "vv", String(actor), `Of writing session ${actor} ${what}.`);
    }
  }

  #texts(table: "message" | "entry"): void {
    const sql = `select m.id, m.actor, m.body_hash, b.salt, b.body, b.n is null as bare,
        exists (select 1 from redaction r where r.target = m.id) as forgotten
      from ${table} m left join ${table}_body b on b.n = m.n`;
    this.#db.each(sql, (row) => {
      const { bare, forgotten, salt, body, body_hash: hash } = row;
      const id = hexOf(row["id"]);
      if (bare === 1) {
        const gap = this.#streams.get(Number(row["actor"]))?.gap === true;
        if (forgotten === 0 && !gap) this.#fault("text-missing", table, id, `The text of ${table} ${id} is gone, and nobody forgot it.`);
        return;
      }
      if (forgotten === 1) this.#fault("text-forgotten", table, id, `The text of ${table} ${id} stands there although it was forgotten.`);
      const whole =
        salt instanceof Uint8Array &&
        typeof body === "string" &&
        hash instanceof Uint8Array &&
        equal(bodyHash(salt, body, this.#crypto), hash);
      if (!whole) this.#fault("text", table, id, `The text of ${table} ${id} is not what was written.`);
    });
    const orphans = this.#db.get(`select count(*) as n from ${table}_body b where not exists (select 1 from ${table} m where m.n = b.n)`);
    if (Number(orphans?.["n"]) > 0) this.#fault("text", table, "", `${String(orphans?.["n"])} texts belong to nothing.`);
  }

  #tasks(): void {
    const removed = `select distinct t.elem from task_dot t join task_remove r
      on r.elem = t.elem and r.dot_actor = t.actor and r.dot_seq >= t.seq`;
    this.#db.each(removed, ({ elem }) => {
      this.#fault("removed-task", "task_dot", hexOf(elem), `Task ${hexOf(elem)} stands there although it was removed.`);
    });
    this.#db.each(WRONG_OVERVIEWS, ({ elem }) => {
      this.#fault("overview", "task_overview", hexOf(elem), `The list of tasks is wrong about task ${hexOf(elem)}.`);
    });
  }

  #overviews(): void {
    const sql = `select c.session, o.session is not null and o.first_hlc = c.first and o.last_hlc = c.last and o.live = c.live as same
      from (select m.session, min(m.hlc) as first, max(m.hlc) as last, count(b.n) as live
        from message m left join message_body b on b.n = m.n group by m.session) c
      left join session_overview o on o.session = c.session
      union all select o.session, 0 from session_overview o where not exists (select 1 from message m where m.session = o.session)`;
    this.#db.each(sql, ({ session, same }) => {
      if (same === 1) return;
      this.#fault("overview", "session_overview", hexOf(session), `The list of conversations is wrong about ${hexOf(session)}.`);
    });
  }

  #kept(): void {
    this.#db.each(`select ${ASIDE_COLUMNS.join(", ")}, mac from aside`, (row) => {
      const sound = isSealedAside(this.#mac, row);
      if (!sound) this.#fault("aside", "aside", dotOf(row), `A row kept for a newer version (${spelt(row)}) is not what was written.`);
      else this.#withinVector("aside", `A row kept for a newer version (${spelt(row)})`, row);
    });
    this.#db.each(`select ${[...CELL.columns, "mac"].join(", ")} from conflict`, (row) => {
      const sound = this.#mac.verify(
        CELL.name,
        CELL.columns.map((name) => row[name] ?? null),
        row["mac"] ?? null,
      );
      if (!sound) this.#fault("conflict", "conflict", dotOf(row), `A value that lost in a merge (${spelt(row)}) is not what was written.`);
    });
  }
}

const kindOfNote = (name: string): "identity" | "summary" | "note" =>
  name === "heart" || name === "replica" ? "identity" : name === "vector" ? "summary" : "note";
const isStamp = (hlc: SqlValue | undefined): boolean => typeof hlc === "number" && hlc >= 0 && hlc <= HLC_MAX;
const dotOf = (row: SqlRow): string => `${String(row["actor"])}:${String(row["seq"])}`;
const spelt = (row: SqlRow): string => `number ${String(row["seq"])} of writing session ${String(row["actor"])}`;
const hexOf = (value: SqlValue | undefined): string => (value instanceof Uint8Array ? value.toHex() : "?");
