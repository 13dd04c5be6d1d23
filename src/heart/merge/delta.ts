import { ASIDE_COLUMNS, asideColumns, isSealedAside, knownColumns, ofTable, putterInto, sealAside, type AsideRow } from "../aside.ts";
import { hlcOf, type Hlc } from "../hlc.ts";
import { equal } from "../mac.ts";
import type { HeartCrypto } from "../ports.ts";
import { bodyHash } from "../rows.ts";
import type { SqlValue } from "../sql.ts";
import type { Stream } from "../streams.ts";
import { MERGED, type MergedTable } from "../tables.ts";
import { type Count, RowCounter } from "./counting.ts";
import { identifier, type TableShape, type UnknownTable } from "./shape.ts";
import { refused } from "./source.ts";
import { stageVector, type Stage } from "./vector.ts";

/**
 * What the source has and this heart lacks, copied into temporary tables and checked there. Only checked copies are ever applied:
 * the file is not read a second time. `temp.x_<table>` holds the rows of the streams in `temp.d`.
 *
 * A stream is checked from its beginning, also where this heart has a part of it: what is counted must be sealed, and be there only once.
 * Otherwise an invented row below could make up for one that was taken out above.
 */
export interface Delta {
  readonly streams: ReadonlyMap<number, Stream>;
  /** Rows stamped further ahead than this heart's clock follows. */
  readonly fenced: { readonly rows: number; readonly furthest: Hlc | 0 };
}

export const staged = (table: MergedTable): string => `temp.x_${table.name}`;

/** Throws `HeartFailure` when the source is not what its seals and sums say. */
export function stageDelta(stage: Stage): Delta {
  const { db, source } = stage;
  const streams = stageVector(stage);
  // A page tree that bites its own tail would yield rows without end.
  const bound = [...streams.values()].reduce((sum, stream) => sum + stream.rows, 0) + 1;
  const seen = new Map<number, Count>();
  const fenced = { rows: 0, furthest: 0 as Hlc | 0 };
  const lows = new Map(db.all("select actor, low from temp.d").map((row) => [Number(row["actor"]), Number(row["low"])]));
  for (const shape of source.shape.tables) {
    copyRows(stage, shape, bound);
    const counter = new RowCounter();
    checkRows(stage, shape, counter, lows, fenced);
    countInto(stage, seen, counter, shape.table.name);
  }
  stageAside(stage, bound);
  for (const table of source.shape.unknown) stageUnknown(stage, table, bound);
  const carried = new RowCounter();
  db.each("select actor, seq from temp.x_aside", (row) => carried.add(Number(row["actor"]), Number(row["seq"])));
  countInto(stage, seen, carried, "aside");
  for (const actor of seen.keys()) {
    // A broken index gives rows that nobody asked for.
    if (!streams.has(actor)) throw refused(source.file, `rows of writing session ${actor} stand in the wrong place`);
  }
  for (const [actor, stream] of streams) {
    const found = seen.get(actor) ?? { rows: 0, total: 0 };
    if (found.rows !== stream.rows || found.total !== stream.total) {
      throw refused(source.file, `${describeCount(stream.rows, found.rows)} of writing session ${actor}`);
    }
  }
  stageKept(stage);
  if ([...lows.values()].some((low) => low > 0)) {
    for (const name of [...MERGED.map(staged), "temp.x_aside"]) {
      db.run(`delete from ${name} as x where exists (select 1 from temp.d d where d.actor = x.actor and x.seq <= d.low)`);
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

/** Registers are copied in the order of their key, so that the upsert later walks the tree once. */
function copyRows(stage: Stage, { table, extra }: TableShape, bound: number): void {
  const { db, source } = stage;
  const { name, columns, dot, merge } = table;
  const body = merge.kind === "grow" ? merge.body : null;
  const own = [...columns, "mac"];
  const more = [...extra.map(identifier), ...(body === null ? [] : ["salt", "body"])];
  // Without types: a column's affinity would turn a text of digits into a number.
  db.exec(`drop table if exists ${staged(table)}; create temp table x_${name} (${[...own, ...more].join(", ")})`);
  const select = [...own, ...extra.map(identifier)].map((column) => `x.${column}`);
  const joined = body === null ? "" : `left join s.${body} b on b.n = x.n and x.seq > d.low`;
  // Where much is new, one walk over the table in the order of its key beats a look-up for each row. The order of the join keeps SQLite to it.
  const most = bound * 4 > source.summary.hot.rows + source.summary.cold.rows;
  if (most) boundTable(stage, name);
  const from = most
    ? `s.${name} x cross join temp.d d on x.actor = d.actor`
    : `temp.d d cross join s.${name} x indexed by ${dot} on x.actor = d.actor`;
  const rows = `select ${[...select, ...(body === null ? [] : ["b.salt", "b.body"])].join(", ")} from ${from} ${joined} limit ?`;
  // The limit comes before the order: sorting reads everything first.
  const order = merge.kind === "register" ? `select * from (${rows}) order by ${merge.key.join(", ")}` : rows;
  db.run(`insert into ${staged(table)} ${order}`, bound);
}

/** Before a whole table is walked through: it has no more rows than the file says that it has in all. */
function boundTable({ db, source }: Stage, name: string): void {
  const most = source.summary.hot.rows + source.summary.cold.rows;
  const row = db.get(`select count(*) as n from (select 1 from s.${identifier(name)} not indexed limit ?)`, most + 1);
  if (Number(row?.["n"]) > most) throw refused(source.file, `its table ${name} has more rows than it says`);
}

/** Rows read at once: the most that a check holds in memory. */
const PAGE = 4096;

function checkRows(
  stage: Stage,
  { table, extra }: TableShape,
  counter: RowCounter,
  lows: ReadonlyMap<number, number>,
  fenced: { rows: number; furthest: Hlc | 0 },
): void {
  const { db, mac, crypto, source, fence } = stage;
  const { name, columns, merge } = table;
  const sealed = columns.length + extra.length;
  const [hash, hlc] = [columns.indexOf("body_hash"), columns.indexOf("hlc")];
  const withBody = merge.kind === "grow" && merge.body !== null;
  const names = [...columns, ...extra.map(identifier), "mac", ...(withBody ? ["salt", "body"] : []), "rowid"];
  const page = `select ${names.join(", ")} from ${staged(table)} where rowid > ? order by rowid limit ${PAGE}`;
  const [actor, seq] = [columns.indexOf("actor"), columns.indexOf("seq")];
  for (let last: SqlValue = 0, full = true; full;) {
    const rows = db.values(page, last);
    full = rows.length === PAGE;
    last = rows.at(-1)?.at(-1) ?? last;
    for (const row of rows) {
      const seal = row[sealed] ?? null;
      const [salt, body] = withBody ? [row[sealed + 1], row[sealed + 2]] : [null, null];
      const [stamp, bodyOf] = [Number(row[hlc]), row[hash] ?? null];
      row.length = sealed;
      if (!mac.verify(name, row, seal)) throw refused(source.file, alteredRow(table, row));
      if (withBody && body !== null && !isBody(bodyOf, salt, body, crypto))
        throw refused(source.file, `the text of ${alteredRow(table, row)}`);
      counter.add(Number(row[actor]), Number(row[seq]));
      if (stamp > fence && Number(row[seq]) > (lows.get(Number(row[actor])) ?? 0)) {
        fenced.rows++;
        fenced.furthest = Math.max(fenced.furthest, stamp) as Hlc;
      }
    }
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

/** A row that was taken out anywhere in a stream is missed. One that is there twice would hide it. */
function countInto({ source }: Stage, seen: Map<number, Count>, counter: RowCounter, name: string): void {
  if (counter.hasTwins) throw refused(source.file, `a row of its table ${name} is there twice`);
  for (const [actor, { rows, total }] of counter.counts) {
    const before = seen.get(actor) ?? { rows: 0, total: 0 };
    seen.set(actor, { rows: before.rows + rows, total: before.total + total });
  }
}

/** What an older source keeps for a newer version may be what this one knows: those rows come as the rows that they are. */
function stageKept({ db, mac, source }: Stage): void {
  for (const table of MERGED) {
    if (source.shape.tables.some((shape) => shape.table === table)) continue;
    const sql = String(db.get("select sql from main.sqlite_schema where type = 'table' and name = ?", table.name)?.["sql"]);
    // With its constraints, because a seal says who wrote a row and not that it fits.
    db.exec(`drop table if exists ${staged(table)}; create temp table x_${table.name} ${sql.slice(sql.indexOf("("))}`);
    const put = putterInto(db, mac, table, staged(table));
    for (const row of db.all(ofTable("temp.x_aside"), table.name)) {
      const columns = knownColumns(mac, table, row);
      // Of a version that is newer than this one as well: carried on.
      if (columns === null) continue;
      if (!put(columns)) throw refused(source.file, `a row that it carries for a table ${table.name} is not one of that table`);
      db.run("delete from temp.x_aside where actor = ? and seq = ?", row["actor"] ?? null, row["seq"] ?? null);
    }
  }
}

/** Rows that the source itself carries for a newer version. */
function stageAside({ db, mac, source }: Stage, bound: number): void {
  db.exec("drop table if exists temp.x_aside; create temp table x_aside (actor, seq, tbl, part, bytes, mac)");
  db.run(
    `insert into temp.x_aside select x.actor, x.seq, x.tbl, x.part, x.bytes, x.mac
      from temp.d d cross join s.aside x on x.actor = d.actor limit ?`,
    bound,
  );
  db.each(`select ${ASIDE_COLUMNS.join(", ")}, mac from temp.x_aside`, (row) => {
    if (!isSealedAside(mac, row)) {
      throw refused(
        source.file,
        `a row that it carries for a newer version (writing session ${String(row["actor"])}) is not what was written`,
      );
    }
  });
}

/** A table of a newer version: each row is checked and carried on as the bytes that its seal is over. */
function stageUnknown(stage: Stage, { name, columns }: UnknownTable, bound: number): void {
  const { db, mac, source } = stage;
  boundTable(stage, name);
  const select = [...columns, "mac"].map((column) => `x.${identifier(column)}`).join(", ");
  db.each(
    `select ${select} from temp.d d cross join s.${identifier(name)} x on x.actor = d.actor limit ?`,
    (row) => {
      const values = columns.map((column) => row[column] ?? null);
      if (!mac.verify(name, values, row["mac"] ?? null))
        throw refused(source.file, `a row of its table ${JSON.stringify(name)} is not what was written`);
      putAside(stage, { actor: row["actor"] ?? null, seq: row["seq"] ?? null, tbl: name, part: 0, bytes: mac.bytesOf(name, values) });
    },
    bound,
  );
}

/** Rows of a known table that hold more than this version knows: the whole of each goes aside as well. */
export function setExtrasAside(stage: Stage): void {
  const { db, mac, source } = stage;
  for (const { table, extra } of source.shape.tables) {
    if (extra.length === 0) continue;
    const sealed = [...table.columns, ...extra];
    const some = extra.map((column) => `${identifier(column)} is not null`).join(" or ");
    for (const row of db.all(`select rowid as rowid_, * from ${staged(table)} where ${some}`)) {
      const bytes = mac.bytesOf(
        table.name,
        sealed.map((name) => row[name] ?? null),
      );
      putAside(stage, { actor: row["actor"] ?? null, seq: row["seq"] ?? null, tbl: table.name, part: 1, bytes });
      const known = table.columns.map((name) => row[name] ?? null);
      db.run(`update ${staged(table)} set mac = ? where rowid = ?`, mac.seal(table.name, known), row["rowid_"] ?? null);
    }
  }
}

const putAside = ({ db, mac }: Stage, row: AsideRow): void => {
  db.run(
    "insert into temp.x_aside (actor, seq, tbl, part, bytes, mac) values (?, ?, ?, ?, ?, ?)",
    ...asideColumns(row),
    sealAside(mac, row),
  );
};

/** Five minutes ahead of the host's clock. */
export const fenceAt = (now: number): Hlc => hlcOf((now + 5 * 60_000) as Parameters<typeof hlcOf>[0]);
