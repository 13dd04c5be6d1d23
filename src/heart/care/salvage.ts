import { ASIDE_COLUMNS, isSealedAside, takeInAside } from "../aside.ts";
import { equal, type RowMac } from "../mac.ts";
import type { Random } from "../../lib/ports.ts";
import type { HeartCrypto } from "../ports.ts";
import { bodyHash } from "../rows.ts";
import { SqlError, type SqlDatabase, type SqlRow, type SqlValue } from "../sql.ts";
import { countStreams, floorsOf, readStream, rebuildStreams, sumFloors, type Stream } from "../streams.ts";
import { CELL, ENTRY, MERGED, MESSAGE, type MergedTable } from "../tables.ts";
import { rebuildTaskOverview } from "../tasks.ts";
import { dropEnded, parseHead, sizeOf } from "../live-heads.ts";
import { writeMeta } from "../meta.ts";

/** A table of a heart as its file stores it. */
export interface StoredTable {
  readonly name: string;
  /** In the order in which they are stored. */
  readonly columns: readonly string[];
  /** Stored with a row number, rather than by its key. */
  readonly isNumbered: boolean;
  /** The column that is the row number; null when none is. */
  readonly number: string | null;
  /** Columns that even the oldest row has; later versions appended the others. */
  readonly least: number;
  /** Texts belong to rows that have to be there before them. */
  readonly isText: boolean;
}

/** `new`: saved. `known`: saved before, or forgotten. `altered`: not what was written. */
export type Taken = "new" | "known" | "altered";

const TEXTS = [MESSAGE, ENTRY];
const LOCAL = ["meta", "vv", "remove_floor", "aside", "conflict"];

/**
 * A heart in the making, out of rows that come in any order and from anywhere, as often as they like. Only what its seal bears out stays,
 * and of two rows for one place the later one.
 */
export class Salvage {
  readonly #db: SqlDatabase;
  readonly #mac: RowMac;
  readonly #crypto: HeartCrypto;
  readonly #takers: ReadonlyMap<string, (row: SqlRow) => Taken>;
  readonly #streams = new Map<number, Stream>();
  readonly #notes = new Map<string, SqlValue>();
  #sealed = 0;

  /** `db` is an empty heart, in a transaction of the caller's. */
  constructor(db: SqlDatabase, mac: RowMac, crypto: HeartCrypto) {
    this.#db = db;
    this.#mac = mac;
    this.#crypto = crypto;
    this.#takers = new Map([
      ...MERGED.map((table) => [table.name, this.#merged(table)] as const),
      ...TEXTS.map((table) => [`${table.name}_body`, this.#text(table)] as const),
      ["meta", (row) => this.#note(row)],
      ["vv", (row) => this.#stream(row)],
      ["remove_floor", (row) => this.#floor(row)],
      ["aside", (row) => this.#aside(row)],
      ["conflict", (row) => this.#conflict(row)],
    ]);
  }

  /** Rows whose seals hold. None at all: it is not this heart, or nothing is left of it. */
  get sealed(): number {
    return this.#sealed;
  }

  tables(): readonly StoredTable[] {
    const texts = TEXTS.map(({ name }) => `${name}_body`);
    return [...MERGED.map(({ name }) => name), ...LOCAL, ...texts].map((name) => this.#stored(name, texts.includes(name)));
  }

  take(table: string, row: SqlRow): Taken {
    const taken = this.#takers.get(table)?.(row) ?? "altered";
    if (taken !== "altered") this.#sealed++;
    return taken;
  }

  /** Whether every stream holds what its vector claims, and every text that nobody forgot is there. */
  isWhole(): boolean {
    const { lost, streams } = this.#reckon();
    return !lost && streams.every(({ whole }) => whole);
  }

  /**
   * Writes what is not merged but follows from it. Returns how many rows the vector speaks of that are nowhere (null when the vector
   * itself is lost), and how many streams lack some.
   */
  finish(heart: Uint8Array, random: Random): { readonly missing: number | null; readonly gaps: number } {
    // A dot that a saved remove names is gone, even where the page that said so was older than the one that holds it.
    this.#db.exec(`delete from task_dot where exists (select 1 from task_remove r
      where r.elem = task_dot.elem and r.dot_actor = task_dot.actor and r.dot_seq >= task_dot.seq)`);
    this.#forget();
    // Of a heart of an older version, which kept aside what this one knows.
    takeInAside(this.#db, this.#mac, MERGED);
    this.#writeNotes(heart, random);
    const { lost, streams } = this.#reckon();
    if (!this.#hasAllFloors()) this.#raiseFloors(streams);
    for (const { actor, seq, cold, whole } of streams) {
      this.#db.run(
        "insert into vv (actor, seq, cold, gap, mac) values (?, ?, ?, ?, zeroblob(16))",
        actor,
        seq,
        whole && cold ? 1 : null,
        whole ? null : 1,
      );
    }
    rebuildStreams(this.#db, this.#mac);
    this.#db.exec(`insert into session_overview (session, first_hlc, last_hlc, live)
      select m.session, min(m.hlc), max(m.hlc), count(b.n) from message m left join message_body b on b.n = m.n group by m.session`);
    rebuildTaskOverview(this.#db, "all");
    const missing = streams.reduce((sum, stream) => sum + stream.missing, 0);
    return { missing: lost ? null : missing, gaps: streams.filter(({ whole }) => !whole).length };
  }

  /** Rows that were saved, by table. */
  counts(): Readonly<Record<string, number>> {
    const names = this.tables().flatMap(({ name }) => (name === "meta" || name === "vv" ? [] : [name]));
    return Object.fromEntries(
      names.flatMap((name) => {
        const n = Number(this.#db.get(`select count(*) as n from ${name}`)?.["n"] ?? 0);
        return n === 0 ? [] : [[name, n]];
      }),
    );
  }

  #merged(table: MergedTable): (row: SqlRow) => Taken {
    const local = table.merge.kind === "grow" && table.merge.body !== null ? ["n"] : [];
    const names = [...local, ...table.columns, "mac"];
    const put = `insert or ignore into ${table.name} (${names.join(", ")}) values (${names.map(() => "?").join(", ")})${later(table)}`;
    return (row) => {
      if (!this.#isSealed(table.name, table.columns, row)) return "altered";
      return this.#put(put, names, row);
    };
  }

  #text({ name }: MergedTable): (row: SqlRow) => Taken {
    const owner = `select body_hash, exists (select 1 from redaction r where r.target = m.id) as forgotten from ${name} m where m.n = ?`;
    const put = `insert or ignore into ${name}_body (n, salt, body) values (?, ?, ?)`;
    return (row) => {
      const { n, salt, body } = row;
      if (typeof n !== "number" || !(salt instanceof Uint8Array) || typeof body !== "string") return "altered";
      const found = this.#db.get(owner, n);
      const hash = found?.["body_hash"];
      if (!(hash instanceof Uint8Array) || !equal(bodyHash(salt, body, this.#crypto), hash)) return "altered";
      return found?.["forgotten"] === 1 ? "known" : this.#put(put, ["n", "salt", "body"], row);
    };
  }

  /** A redaction may have turned up after the text that it names. */
  #forget(): void {
    for (const { name } of TEXTS) {
      this.#db.exec(`delete from ${name}_body where n in (select m.n from redaction r join ${name} m on m.id = r.target)`);
    }
  }

  #note(row: SqlRow): Taken {
    if (!this.#isSealed("meta", ["k", "v"], row)) return "altered";
    const [key, value] = [String(row["k"]), row["v"] ?? null];
    const before = this.#notes.get(key);
    const isLonger = sizeOf(parseHead(value)?.note ?? "") > sizeOf(parseHead(before)?.note ?? "");
    if (before !== undefined && !isLonger && !(typeof value === "number" && typeof before === "number" && value > before)) return "known";
    this.#notes.set(key, value);
    return "new";
  }

  #stream(row: SqlRow): Taken {
    const stream = readStream(row, this.#mac);
    if (stream === null) return "altered";
    const before = this.#streams.get(stream.actor);
    if (before !== undefined && before.seq >= stream.seq) return "known";
    this.#streams.set(stream.actor, stream);
    return "new";
  }

  #floor(row: SqlRow): Taken {
    const names = ["actor", "seq"];
    if (!this.#isSealed("remove_floor", names, row)) return "altered";
    const put = `insert into remove_floor (actor, seq, mac) values (?, ?, ?)
      on conflict (actor) do update set seq = excluded.seq, mac = excluded.mac where excluded.seq > remove_floor.seq`;
    return this.#put(put, [...names, "mac"], row);
  }

  #aside(row: SqlRow): Taken {
    if (!isSealedAside(this.#mac, row)) return "altered";
    const put = "insert or ignore into aside (actor, seq, tbl, part, bytes, mac) values (?, ?, ?, ?, ?, ?)";
    return this.#put(put, [...ASIDE_COLUMNS, "mac"], row);
  }

  #conflict(row: SqlRow): Taken {
    if (!this.#isSealed(CELL.name, CELL.columns, row)) return "altered";
    if (this.#db.get("select 1 from conflict where mac = ?", row["mac"] ?? null) !== null) return "known";
    const names = [...CELL.columns, "mac"];
    return this.#put(`insert into conflict (${names.join(", ")}) values (${names.map(() => "?").join(", ")})`, names, row);
  }

  #isSealed(table: string, columns: readonly string[], row: SqlRow): boolean {
    const { mac } = row;
    if (!(mac instanceof Uint8Array)) return false;
    return this.#mac.verify(
      table,
      columns.map((name) => row[name] ?? null),
      mac,
    );
  }

  #put(sql: string, names: readonly string[], row: SqlRow): Taken {
    try {
      return this.#db.run(sql, ...names.map((name) => row[name] ?? null)).changes > 0 ? "new" : "known";
    } catch (error) {
      // A row whose seal holds fits its table; what no seal covers (a local number, a text) may be anything.
      if (error instanceof SqlError && /^SQLITE_(?:CONSTRAINT|MISMATCH)/.test(error.code)) return "altered";
      throw error;
    }
  }

  /** The heart's id is in the keys. A replica whose name is lost gets a new one, as after a restore. */
  #writeNotes(heart: Uint8Array, random: Random): void {
    const replica = this.#notes.get("replica");
    const last = this.#notes.get("hlc");
    const own = this.#db.get("select coalesce(max(hlc), 0) as last from actor where device = ?", replica ?? null)?.["last"];
    writeMeta(this.#db, this.#mac, ["heart", heart]);
    writeMeta(this.#db, this.#mac, ["replica", replica instanceof Uint8Array ? replica : random.bytes(16)]);
    writeMeta(this.#db, this.#mac, ["hlc", typeof last === "number" ? last : Number(own ?? 0)]);
    for (const [key, value] of this.#notes) if (parseHead(value) !== null) writeMeta(this.#db, this.#mac, [key, value]);
    // A page may have come back from before a session's end.
    dropEnded(this.#db);
  }

  /** Against the sealed summary. Where that is lost, what was found counts as all. */
  #hasAllFloors(): boolean {
    const claimed = floorsOf(this.#notes.get("vector"));
    const found = sumFloors(this.#db, "main");
    return claimed === null || (claimed.rows === found.rows && claimed.seqs === found.seqs);
  }

  /**
   * A mark of what was pruned is lost: any remove may have been. Copies that are behind are then merged in full, which costs time. With a mark
   * too few, a task that was removed would come back from them.
   */
  #raiseFloors(streams: readonly Reckoned[]): void {
    for (const { actor, seq } of streams) {
      if (seq > 0) this.#floor({ actor, seq, mac: this.#mac.seal("remove_floor", [actor, seq]) });
    }
  }

  /** Each stream as it will be said to be, against what its vector claimed. */
  #reckon(): { readonly lost: boolean; readonly streams: readonly Reckoned[] } {
    const found = countStreams(this.#db, "main");
    const tops = this.#tops();
    const silent = new Set<number>();
    for (const { name } of TEXTS) {
      this.#db.each(
        `select distinct m.actor as actor from ${name} m where not exists (select 1 from ${name}_body b where b.n = m.n)
          and not exists (select 1 from redaction r where r.target = m.id)`,
        (row) => void silent.add(Number(row["actor"])),
      );
    }
    let lost = false;
    const streams = [...new Set([...this.#streams.keys(), ...found.keys()])].map((actor): Reckoned => {
      const claim = this.#streams.get(actor);
      const { rows, total } = found.get(actor) ?? { rows: 0, total: 0 };
      if (claim === undefined) lost = true;
      const seq = Math.max(claim?.seq ?? 0, tops.get(actor) ?? 0);
      const whole = claim !== undefined && !claim.gap && claim.rows === rows && claim.total === total && !silent.has(actor);
      return { actor, seq, cold: claim?.cold === true, whole, missing: Math.max(0, (claim?.rows ?? 0) - rows) };
    });
    return { lost, streams };
  }

  /** The highest number that stands here, by stream. */
  #tops(): Map<number, number> {
    const tops = new Map<number, number>();
    for (const name of [...MERGED.map((table) => table.name), "aside"]) {
      this.#db.each(`select actor, max(seq) as top from ${name} group by actor`, ({ actor, top }) => {
        tops.set(Number(actor), Math.max(tops.get(Number(actor)) ?? 0, Number(top)));
      });
    }
    return tops;
  }

  #stored(name: string, isText: boolean): StoredTable {
    const info = this.#db.all('select name, pk, "notnull" as required from pragma_table_info(?) order by cid', name);
    const isNumbered = this.#db.get("select wr from pragma_table_list where schema = 'main' and name = ?", name)?.["wr"] === 0;
    const keys = info.filter(({ pk }) => Number(pk) > 0).toSorted((a, b) => Number(a["pk"]) - Number(b["pk"]));
    // By its key: the key's columns come first. Numbered: the key is the row's number, and its column is stored as null.
    const order = isNumbered ? info : [...keys, ...info.filter(({ pk }) => pk === 0)];
    const columns = order.map((column) => String(column["name"]));
    const number = isNumbered ? String(keys[0]?.["name"] ?? "") : "";
    const least = order.findLastIndex(({ required }) => required === 1) + 1;
    return { name, columns, isNumbered, number: number === "" ? null : number, least, isText };
  }
}

interface Reckoned {
  readonly actor: number;
  readonly seq: number;
  readonly cold: boolean;
  readonly whole: boolean;
  readonly missing: number;
}

/** Of two rows for one place the later one: an old page may have come back, as after a power cut. */
function later({ name, columns, merge }: MergedTable): string {
  if (merge.kind === "grow") return "";
  const rest = [...columns.filter((column) => !merge.key.includes(column)), "mac"];
  const [after, before] = ["excluded", name].map((of) => merge.order.map((column) => `${of}.${column}`).join(", "));
  return ` on conflict (${merge.key.join(", ")}) do update set ${rest.map((column) => `${column} = excluded.${column}`).join(", ")}
    where (${after}) > (${before})`;
}
