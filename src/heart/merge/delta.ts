import { hlcOf, type Hlc } from "../hlc.ts";
import { equal, type RowMac } from "../mac.ts";
import type { HeartCrypto } from "../ports.ts";
import { bodyHash } from "../rows.ts";
import type { SqlDatabase, SqlValue } from "../sql.ts";
import { readStream, VV_COLUMNS, type Stream, type StreamSums } from "../streams.ts";
import type { MergedTable } from "../tables.ts";
import { identifier, type TableShape, type UnknownTable } from "./shape.ts";
import { refused, type Source } from "./source.ts";

/**
 * What the source has and this heart lacks, copied into temporary tables and checked there. Only checked copies are ever applied:
 * the file is not read a second time.
 *
 * `temp.d` lists the streams that have something: actor, tv (how far this heart has it), low (rows above are taken), sv (how far the
 * source has it), gap (the source itself lacks rows of it). `temp.x_<table>` holds the rows.
 */
export interface Delta {
  readonly streams: ReadonlyMap<number, Stream>;
  /** Rows stamped further ahead than this heart's clock follows. */
  readonly fenced: { readonly rows: number; readonly furthest: Hlc | 0 };
}

export interface Stage {
  readonly db: SqlDatabase;
  readonly mac: RowMac;
  readonly crypto: HeartCrypto;
  readonly source: Source;
  /** Stamps above it are reported and not followed. */
  readonly fence: Hlc;
}

export const staged = (table: MergedTable): string => `temp.x_${table.name}`;

/** Throws `HeartFailure` when the source is not what its seals and sums say. */
export function stageDelta(stage: Stage, settled: boolean): Delta {
  const { db, source } = stage;
  checkSums(stage, settled);
  listStreams(db, settled);
  const streams = readStreams(stage);
  // A page tree that bites its own tail would yield rows without end.
  const bound = [...streams.values()].reduce((sum, stream) => sum + stream.rows, 0) + 1;
  const seen = new Map<number, { rows: number; total: number }>();
  const fenced = { rows: 0, furthest: 0 as Hlc | 0 };
  for (const shape of source.shape.tables) {
    copyRows(stage, shape, bound);
    checkRows(stage, shape, fenced);
    countRows(db, shape.table, seen);
  }
  stageAside(stage, bound, seen);
  for (const table of source.shape.unknown) stageUnknown(stage, table, seen);
  for (const [actor, stream] of streams) {
    const found = seen.get(actor) ?? { rows: 0, total: 0 };
    if (found.rows !== stream.rows || found.total !== stream.total) {
      throw refused(source.file, `${describeCount(stream.rows, found.rows)} of writing session ${actor}`);
    }
  }
  return { streams, fenced };
}

const describeCount = (claimed: number, found: number): string =>
  found < claimed
    ? `${claimed - found} rows are missing`
    : found > claimed
      ? `there are ${found - claimed} rows too many`
      : "rows were exchanged";

/** The whole vector, or the part that can differ, must add up to what the sealed summary says. */
function checkSums({ db, source }: Stage, settled: boolean): void {
  const { hot, cold } = source.summary;
  const from = settled ? "s.vv indexed by vv_hot where cold is null" : "s.vv";
  const row = db.get(`select count(*) as streams, sum(seq) as seqs, sum(held) as held, sum(total) as total from ${from}`);
  const wanted = (name: keyof Omit<StreamSums, "digest">): number => (settled ? hot[name] : hot[name] + cold[name]);
  const sound =
    Number(row?.["streams"]) === wanted("streams") &&
    Number(row?.["seqs"]) === wanted("seqs") &&
    Number(row?.["held"]) === wanted("rows") &&
    Number(row?.["total"]) === wanted("total");
  if (!sound) throw refused(source.file, "its version vector does not add up to its sealed summary");
}

/** A stream with a gap here, that the source has whole, is taken from its beginning. */
function listStreams(db: SqlDatabase, settled: boolean): void {
  db.exec(`drop table if exists temp.d;
    create temp table d (actor integer primary key, tv integer not null, low integer not null, sv integer not null)`);
  const from = settled ? "s.vv sv indexed by vv_hot" : "s.vv sv";
  db.run(`insert into temp.d select sv.actor, coalesce(tv.seq, 0), iif(tv.gap = 1 and sv.gap is null, 0, coalesce(tv.seq, 0)), sv.seq
    from ${from} left join main.vv tv on tv.actor = sv.actor
    where ${settled ? "sv.cold is null and" : ""} (sv.seq > coalesce(tv.seq, 0) or (tv.gap = 1 and sv.gap is null))`);
}

function readStreams({ db, mac, source }: Stage): ReadonlyMap<number, Stream> {
  const streams = new Map<number, Stream>();
  const columns = [...VV_COLUMNS, "mac"].map((name) => `v.${name}`).join(", ");
  db.each(`select ${columns} from temp.d d cross join s.vv v on v.actor = d.actor`, (row) => {
    const stream = readStream(row, mac);
    if (stream === null) throw refused(source.file, `the version vector of writing session ${String(row["actor"])} was altered`);
    streams.set(stream.actor, stream);
  });
  return streams;
}

/** Registers are copied in the order of their key, so that the upsert later walks the tree once. */
function copyRows({ db, source }: Stage, { table, extra }: TableShape, bound: number): void {
  const { name, columns, dot, merge } = table;
  const body = merge.kind === "grow" ? merge.body : null;
  const own = [...columns, "mac"];
  const more = [...extra.map(identifier), ...(body === null ? [] : ["salt", "body"])];
  // Without types: a column's affinity would turn a text of digits into a number.
  db.exec(`drop table if exists ${staged(table)}; create temp table x_${name} (${[...own, ...more].join(", ")})`);
  const select = [...own, ...extra.map(identifier)].map((column) => `x.${column}`);
  const joined = body === null ? "" : `left join s.${body} b on b.n = x.n`;
  const order = merge.kind === "register" ? `order by ${merge.key.map((column) => `x.${column}`).join(", ")}` : "";
  // Where much is new, one walk over the table in the order of its key beats a look-up for each row. The order of the join keeps SQLite to it.
  const most = bound * 4 > source.summary.hot.rows + source.summary.cold.rows;
  const taken = "x.actor = d.actor and x.seq > d.low";
  const from = most ? `s.${name} x cross join temp.d d on ${taken}` : `temp.d d cross join s.${name} x indexed by ${dot} on ${taken}`;
  db.run(
    `insert into ${staged(table)} select ${[...select, ...(body === null ? [] : ["b.salt", "b.body"])].join(", ")}
      from ${from} ${joined} ${order} limit ?`,
    bound,
  );
}

/** Rows read at once: the most that a check holds in memory. */
const PAGE = 4096;

function checkRows(stage: Stage, { table, extra }: TableShape, fenced: { rows: number; furthest: Hlc | 0 }): void {
  const { db, mac, crypto, source, fence } = stage;
  const { name, columns, merge } = table;
  const sealed = columns.length + extra.length;
  const [hash, hlc] = [columns.indexOf("body_hash"), columns.indexOf("hlc")];
  const withBody = merge.kind === "grow" && merge.body !== null;
  const names = [...columns, ...extra.map(identifier), "mac", ...(withBody ? ["salt", "body"] : []), "rowid"];
  const page = `select ${names.join(", ")} from ${staged(table)} where rowid > ? order by rowid limit ${PAGE}`;
  const seq = columns.indexOf("seq");
  const copied = { rows: 0, total: 0 };
  for (let last: SqlValue = 0, full = true; full;) {
    const rows = db.values(page, last);
    full = rows.length === PAGE;
    last = rows.at(-1)?.at(-1) ?? last;
    for (const row of rows) {
      const seal = row[sealed] ?? null;
      const [salt, body] = withBody ? [row[sealed + 1], row[sealed + 2]] : [null, null];
      const [stamp, bodyOf] = [Number(row[hlc]), row[hash] ?? null];
      copied.rows++;
      copied.total += Number(row[seq]);
      row.length = sealed;
      if (!mac.verify(name, row, seal)) throw refused(source.file, alteredRow(table, row));
      if (withBody && body !== null && !isBody(bodyOf, salt, body, crypto))
        throw refused(source.file, `the text of ${alteredRow(table, row)}`);
      if (stamp > fence) {
        fenced.rows++;
        fenced.furthest = Math.max(fenced.furthest, stamp) as Hlc;
      }
    }
  }
  // Rows were copied from the table and are counted by its index: one may hold what the other lost.
  const indexed = db.get(`select count(*) as n, coalesce(sum(x.seq), 0) as total
    from temp.d d cross join s.${name} x indexed by ${table.dot} on x.actor = d.actor and x.seq > d.low`);
  if (Number(indexed?.["n"]) !== copied.rows || Number(indexed?.["total"]) !== copied.total) {
    throw refused(source.file, `its table ${name} and the index of it disagree`);
  }
  if (db.get(`select 1 from ${staged(table)} x join temp.d d on d.actor = x.actor where x.seq > d.sv limit 1`) !== null) {
    throw refused(source.file, `rows of its table ${name} lie beyond its version vector`);
  }
}

const alteredRow = ({ name, columns }: MergedTable, row: readonly SqlValue[]): string =>
  `a row of its table ${name} (number ${String(row[columns.indexOf("seq")])} of writing session ${String(row[columns.indexOf("actor")])}) is not what was written`;

function isBody(hash: SqlValue, salt: SqlValue | undefined, body: SqlValue | undefined, crypto: HeartCrypto): boolean {
  if (!(salt instanceof Uint8Array) || typeof body !== "string" || !(hash instanceof Uint8Array)) return false;
  return equal(bodyHash(salt, body, crypto), hash);
}

/** All rows of the streams in question, below what is taken too: a row that was taken out anywhere in a stream is missed. */
function countRows(db: SqlDatabase, { name, dot }: MergedTable, seen: Map<number, { rows: number; total: number }>): void {
  addCounts(db, `temp.d d cross join s.${name} x indexed by ${dot} on x.actor = d.actor`, seen);
}

function addCounts(db: SqlDatabase, from: string, seen: Map<number, { rows: number; total: number }>): void {
  db.each(`select d.actor as actor, count(*) as n, sum(x.seq) as total from ${from} group by d.actor`, (row) => {
    const actor = Number(row["actor"]);
    const before = seen.get(actor) ?? { rows: 0, total: 0 };
    seen.set(actor, { rows: before.rows + Number(row["n"]), total: before.total + Number(row["total"]) });
  });
}

/** Rows that the source itself carries for a newer version. */
function stageAside({ db, mac, source }: Stage, bound: number, seen: Map<number, { rows: number; total: number }>): void {
  db.exec("drop table if exists temp.x_aside; create temp table x_aside (actor, seq, tbl, part, bytes, mac)");
  db.run(
    `insert into temp.x_aside select x.actor, x.seq, x.tbl, x.part, x.bytes, x.mac
      from temp.d d cross join s.aside x on x.actor = d.actor and x.seq > d.low limit ?`,
    bound,
  );
  db.each("select bytes, mac, actor, seq from temp.x_aside", (row) => {
    if (!(row["bytes"] instanceof Uint8Array) || !mac.verifyBytes(row["bytes"], row["mac"] ?? null)) {
      throw refused(
        source.file,
        `a row that it carries for a newer version (writing session ${String(row["actor"])}) is not what was written`,
      );
    }
  });
  addCounts(db, "temp.d d cross join s.aside x on x.actor = d.actor and x.part = 0", seen);
}

/** A table of a newer version: each row is checked and carried on as the bytes that its seal is over. */
function stageUnknown(
  { db, mac, source }: Stage,
  { name, columns }: UnknownTable,
  seen: Map<number, { rows: number; total: number }>,
): void {
  const select = [...columns, "mac"].map((column) => `x.${identifier(column)}`).join(", ");
  const from = `temp.d d cross join s.${identifier(name)} x on x.actor = d.actor`;
  db.each(`select ${select} from ${from} and x.seq > d.low`, (row) => {
    const values = columns.map((column) => row[column] ?? null);
    if (!mac.verify(name, values, row["mac"] ?? null))
      throw refused(source.file, `a row of its table ${JSON.stringify(name)} is not what was written`);
    putAside(db, {
      actor: row["actor"] ?? null,
      seq: row["seq"] ?? null,
      table: name,
      part: 0,
      bytes: mac.bytesOf(name, values),
      mac: row["mac"] ?? null,
    });
  });
  addCounts(db, from, seen);
}

/** Rows of a known table that hold more than this version knows: the whole of each goes aside as well. */
export function setExtrasAside({ db, mac, source }: Stage): void {
  for (const { table, extra } of source.shape.tables) {
    if (extra.length === 0) continue;
    const sealed = [...table.columns, ...extra];
    const some = extra.map((column) => `${identifier(column)} is not null`).join(" or ");
    for (const row of db.all(`select rowid as rowid_, * from ${staged(table)} where ${some}`)) {
      const bytes = mac.bytesOf(
        table.name,
        sealed.map((name) => row[name] ?? null),
      );
      putAside(db, { actor: row["actor"] ?? null, seq: row["seq"] ?? null, table: table.name, part: 1, bytes, mac: row["mac"] ?? null });
      const known = table.columns.map((name) => row[name] ?? null);
      db.run(`update ${staged(table)} set mac = ? where rowid = ?`, mac.seal(table.name, known), row["rowid_"] ?? null);
    }
  }
}

interface AsideRow {
  readonly actor: SqlValue;
  readonly seq: SqlValue;
  readonly table: string;
  readonly part: 0 | 1;
  readonly bytes: Uint8Array;
  readonly mac: SqlValue;
}

const putAside = (db: SqlDatabase, { actor, seq, table, part, bytes, mac }: AsideRow): void => {
  db.run("insert into temp.x_aside (actor, seq, tbl, part, bytes, mac) values (?, ?, ?, ?, ?, ?)", actor, seq, table, part, bytes, mac);
};

/** Five minutes ahead of the host's clock. */
export const fenceAt = (now: number): Hlc => hlcOf((now + 5 * 60_000) as Parameters<typeof hlcOf>[0]);
