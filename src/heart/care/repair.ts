import { err, ok, type Result } from "../../lib/result.ts";
import { heartErrorOf, rollback } from "../failure.ts";
import { equal, rowMac, type RowMac } from "../mac.ts";
import type { StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartDeps } from "../ports.ts";
import { bodyHash } from "../rows.ts";
import { judgeHeader, migrate, PRAGMAS, READ_ONLY_PRAGMAS, SCHEMA_VERSION } from "../schema.ts";
import { SqlError, type SqlDatabase, type SqlRow, type SqlValue } from "../sql.ts";
import { readStream, rebuildStreams, VV_COLUMNS, type Stream } from "../streams.ts";
import { CELL, ENTRY, MERGED, MESSAGE, type MergedTable } from "../tables.ts";
import { rebuildTaskOverview } from "../tasks.ts";
import { writeMeta } from "../writer.ts";
import { checkRoom, clearDraft, draftOf, finishDraft } from "./copy.ts";
import { keyOf } from "./keys.ts";

/** What a repair could save. */
export interface RepairReport {
  readonly file: string;
  /** Rows and texts by table. `lost`: those that were read and are not what was written; rows that cannot be read at all are in `missing`. */
  readonly kept: Readonly<Record<string, number>>;
  readonly lost: Readonly<Record<string, number>>;
  /** Rows that the version vector speaks of and that are nowhere; null when the vector itself is lost. */
  readonly missing: number | null;
  /** Writing sessions of which rows are missing: a merge with a whole copy fills them in. */
  readonly gaps: number;
}

/**
 * Saves every row whose seal holds into a new file. The damaged one is only read.
 *
 * A stream of which rows are missing is marked (`gap`): it still merges, and the first whole copy fills it in. Keys are needed: without them
 * nothing can be told from its damage.
 */
export function repairHeart(deps: HeartDeps, place: StoredPlace, target: string): Result<RepairReport, HeartError> {
  const { file, keysDir } = place;
  if (deps.files.exists(target)) return err({ kind: "exists", path: target });
  const key = keyOf(deps, place);
  if (!key.ok) return key;
  const facts = deps.files.inspect(file);
  if (facts.kind !== "file") return err({ kind: "unreadable", path: file, detail: "there is no such file" });
  const header = judgeHeader(facts.head);
  if (header.kind === "newer") return err({ kind: "newer", path: file, found: header.version, known: SCHEMA_VERSION });
  if (header.kind === "not-sqlite") {
    return err({ kind: "damaged", path: file, detail: "its first page is gone, and with it where everything else stands" });
  }
  const room = checkRoom(deps, target, facts.size);
  if (!room.ok) return room;
  const cleared = clearDraft(deps, target);
  if (!cleared.ok) return cleared;
  const mac = rowMac(deps.crypto, key.value.key.key);
  let salvage: Salvage | null = null;
  try {
    using source = deps.sql.open(file, { create: false, readOnly: true });
    source.exec(READ_ONLY_PRAGMAS);
    using fresh = deps.sql.open(draftOf(target), { create: true, readOnly: false });
    fresh.exec(PRAGMAS);
    salvage = new Salvage(deps, source, fresh, mac);
    salvage.run(Uint8Array.fromHex(key.value.key.heart));
  } catch (error) {
    clearDraft(deps, target);
    return err(heartErrorOf(error, file));
  }
  const finished = finishDraft(deps, target, keysDir);
  return finished.ok ? ok(salvage.report(target)) : finished;
}

class Salvage {
  readonly #deps: HeartDeps;
  readonly #source: SqlDatabase;
  readonly #fresh: SqlDatabase;
  readonly #mac: RowMac;
  readonly #kept: Record<string, number> = {};
  readonly #lost: Record<string, number> = {};
  readonly #streams = new Map<number, Stream>();
  /** By actor: rows that were saved. */
  readonly #found = new Map<number, { rows: number; total: number; top: number }>();
  #vectorLost = false;
  #missing = 0;
  #gaps = 0;

  constructor(deps: HeartDeps, source: SqlDatabase, fresh: SqlDatabase, mac: RowMac) {
    this.#deps = deps;
    this.#source = source;
    this.#fresh = fresh;
    this.#mac = mac;
  }

  report(file: string): RepairReport {
    return { file, kept: this.#kept, lost: this.#lost, missing: this.#vectorLost ? null : this.#missing, gaps: this.#gaps };
  }

  run(heart: Uint8Array): void {
    const db = this.#fresh;
    db.exec("begin immediate");
    try {
      migrate(db, 0);
      for (const table of MERGED) this.#table(table);
      this.#texts(MESSAGE);
      this.#texts(ENTRY);
      this.#rest();
      this.#notes(heart);
      this.#vector();
      this.#derive();
      db.exec("commit");
    } catch (error) {
      rollback(db);
      throw error;
    }
  }

  #table(table: MergedTable): void {
    const names = [...table.columns, "mac"];
    const local = table.merge.kind === "grow" && table.merge.body !== null ? ["n"] : [];
    const put = `insert or ignore into ${table.name} (${[...local, ...names].join(", ")}) values (${[...local, ...names].map(() => "?").join(", ")})`;
    this.#visit(table.name, [...local, ...names], table.dot, (row) => {
      const columns = table.columns.map((name) => row[name] ?? null);
      if (!this.#mac.verify(table.name, columns, row["mac"] ?? null)) {
        count(this.#lost, table.name);
        return;
      }
      // `or ignore`: where a page was written twice, the first of two equal keys stays.
      const { changes } = this.#insert(put, [...local.map((name) => row[name] ?? null), ...columns, row["mac"] ?? null]);
      if (changes === 0) return;
      count(this.#kept, table.name);
      this.#saw(row);
    });
  }

  #saw(row: SqlRow): void {
    const [actor, seq] = [Number(row["actor"]), Number(row["seq"])];
    const before = this.#found.get(actor) ?? { rows: 0, total: 0, top: 0 };
    this.#found.set(actor, { rows: before.rows + 1, total: before.total + seq, top: Math.max(before.top, seq) });
  }

  #texts({ name }: MergedTable): void {
    const put = `insert or ignore into ${name}_body (n, salt, body) values (?, ?, ?)`;
    this.#visit(`${name}_body`, ["n", "salt", "body"], null, ({ n, salt, body }) => {
      const owner = this.#fresh.get(
        `select body_hash, exists (select 1 from redaction r where r.target = m.id) as forgotten from ${name} m where m.n = ?`,
        n ?? null,
      );
      const whole =
        owner !== null &&
        salt instanceof Uint8Array &&
        typeof body === "string" &&
        owner["body_hash"] instanceof Uint8Array &&
        equal(bodyHash(salt, body, this.#deps.crypto), owner["body_hash"]);
      if (!whole) count(this.#lost, `${name}_body`);
      // What was forgotten is not saved.
      else if (owner["forgotten"] === 0 && this.#insert(put, [n ?? null, salt, body]).changes > 0) count(this.#kept, `${name}_body`);
    });
    // A row whose text is lost marks its stream as having a gap, for a whole copy to bring it.
    this.#fresh.each(
      `select m.actor as actor from ${name} m where not exists (select 1 from ${name}_body b where b.n = m.n)
        and not exists (select 1 from redaction r where r.target = m.id)`,
      (row) => void this.#silent.add(Number(row["actor"])),
    );
  }
  readonly #silent = new Set<number>();

  #rest(): void {
    this.#visit("aside", ["actor", "seq", "tbl", "part", "bytes", "mac"], null, (row) => {
      const sound = row["bytes"] instanceof Uint8Array && this.#mac.verifyBytes(row["bytes"], row["mac"] ?? null);
      if (!sound) count(this.#lost, "aside");
      else if (
        this.#insert("insert or ignore into aside (actor, seq, tbl, part, bytes, mac) values (?, ?, ?, ?, ?, ?)", Object.values(row))
          .changes > 0
      ) {
        count(this.#kept, "aside");
        if (row["part"] === 0) this.#saw(row);
      }
    });
    const cells = [...CELL.columns, "mac"];
    this.#visit("conflict", cells, null, (row) => {
      const columns = CELL.columns.map((name) => row[name] ?? null);
      if (!this.#mac.verify(CELL.name, columns, row["mac"] ?? null)) count(this.#lost, "conflict");
      else
        this.#insert(`insert into conflict (${cells.join(", ")}) values (${cells.map(() => "?").join(", ")})`, [
          ...columns,
          row["mac"] ?? null,
        ]);
    });
    this.#visit("remove_floor", ["actor", "seq", "mac"], null, ({ actor, seq, mac }) => {
      if (this.#mac.verify("remove_floor", [actor ?? null, seq ?? null], mac ?? null)) {
        this.#insert("insert or ignore into remove_floor (actor, seq, mac) values (?, ?, ?)", [actor ?? null, seq ?? null, mac ?? null]);
      }
    });
  }

  /** The heart's id is in the keys. A replica whose name is lost gets a new one, as after a restore. */
  #notes(heart: Uint8Array): void {
    const sealed = new Map<string, SqlValue>();
    this.#visit("meta", ["k", "v", "mac"], null, ({ k, v, mac }) => {
      if (this.#mac.verify("meta", [k ?? null, v ?? null], mac ?? null)) sealed.set(String(k), v ?? null);
    });
    const replica = sealed.get("replica");
    const last = sealed.get("hlc");
    const own = this.#fresh.get("select coalesce(max(hlc), 0) as last from actor where device = ?", replica ?? null)?.["last"];
    writeMeta(this.#fresh, this.#mac, "heart", heart);
    writeMeta(this.#fresh, this.#mac, "replica", replica instanceof Uint8Array ? replica : this.#deps.random.bytes(16));
    writeMeta(this.#fresh, this.#mac, "hlc", typeof last === "number" ? last : Number(own ?? 0));
  }

  #vector(): void {
    this.#visit("vv", [...VV_COLUMNS, "mac"], null, (row) => {
      const stream = readStream(row, this.#mac);
      if (stream !== null) this.#streams.set(stream.actor, stream);
      else count(this.#lost, "vv");
    });
    for (const actor of new Set([...this.#streams.keys(), ...this.#found.keys()])) {
      const stream = this.#streams.get(actor);
      const found = this.#found.get(actor) ?? { rows: 0, total: 0, top: 0 };
      if (stream === undefined) this.#vectorLost = true;
      const whole =
        stream !== undefined && !stream.gap && stream.rows === found.rows && stream.total === found.total && !this.#silent.has(actor);
      if (stream !== undefined) this.#missing += Math.max(0, stream.rows - found.rows);
      if (!whole) this.#gaps++;
      this.#insert("insert into vv (actor, seq, cold, gap, mac) values (?, ?, ?, ?, zeroblob(16))", [
        actor,
        Math.max(stream?.seq ?? 0, found.top),
        stream?.cold === true && whole ? 1 : null,
        whole ? null : 1,
      ]);
    }
    rebuildStreams(this.#fresh, this.#mac);
  }

  #derive(): void {
    this.#fresh.exec(`insert into session_overview (session, first_hlc, last_hlc, live)
      select m.session, min(m.hlc), max(m.hlc), count(b.n) from message m left join message_body b on b.n = m.n group by m.session`);
    // A dot that a saved remove names is gone, even where the page that said so was older than the one that holds it.
    this.#fresh.exec(`delete from task_dot where exists (select 1 from task_remove r
      where r.elem = task_dot.elem and r.dot_actor = task_dot.actor and r.dot_seq >= task_dot.seq)`);
    rebuildStreams(this.#fresh, this.#mac);
    rebuildTaskOverview(this.#fresh, "all");
  }

  #insert(sql: string, values: readonly SqlValue[]): { readonly changes: number } {
    try {
      return this.#fresh.run(sql, ...values);
    } catch (error) {
      // A row whose seal holds fits its table; one without a seal (a text) may hold anything.
      if (error instanceof SqlError && /^SQLITE_(?:CONSTRAINT|MISMATCH)/.test(error.code)) return { changes: 0 };
      throw error;
    }
  }

  /**
   * Every row that can be read, some of them twice. Where a broken page ends a walk, the table is walked from its other end, and what lies
   * between is asked for key by key, as its index of dots still knows them.
   */
  #visit(table: string, columns: readonly string[], dot: string | null, visit: (row: SqlRow) => void): void {
    const select = columns.join(", ");
    const key = this.#keyOf(table);
    const order = (way: "asc" | "desc"): string => `order by ${key.map((name) => `${name} ${way}`).join(", ")}`;
    if (this.#walk(`select ${select} from ${table} ${order("asc")}`, visit)) return;
    this.#walk(`select ${select} from ${table} ${order("desc")}`, visit);
    if (dot === null) return;
    const known: SqlValue[][] = [];
    this.#walk(`select ${key.join(", ")} from ${table} indexed by ${dot} where true`, (row) => {
      known.push(key.map((name) => row[name] ?? null));
    });
    const one = `select ${select} from ${table} where ${key.map((name) => `${name} = ?`).join(" and ")}`;
    for (const values of known) this.#walk(one, visit, values);
  }

  /** False when a page ended it. */
  #walk(sql: string, visit: (row: SqlRow) => void, values: readonly SqlValue[] = []): boolean {
    try {
      this.#source.each(sql, visit, ...values);
      return true;
    } catch (error) {
      // The new file's faults are not the old one's: a full medium ends the repair.
      if (!(error instanceof SqlError) || /^SQLITE_(?:FULL|IOERR|READONLY)/.test(error.code)) throw error;
      return false;
    }
  }

  #keyOf(table: string): readonly string[] {
    const rows = this.#fresh.all("select name from pragma_table_info(?) where pk > 0 order by pk", table);
    return rows.length > 0 ? rows.map((row) => String(row["name"])) : ["rowid"];
  }
}

function count(into: Record<string, number>, name: string): void {
  into[name] = (into[name] ?? 0) + 1;
}
