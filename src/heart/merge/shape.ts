import { SCHEMA_VERSION } from "../schema.ts";
import type { SqlDatabase } from "../sql.ts";
import { MERGED, mergedAt, type MergedTable } from "../tables.ts";

/**
 * What the attached file's tables look like. At our own version they are ours to the letter, and at an older one those of them that it had. A newer version
 * may have appended columns and added tables; everything that this version's statements touch must still be what they take it for.
 */
export interface SourceShape {
  readonly tables: readonly TableShape[];
  /** Tables of a newer version: what they hold is carried along unread. */
  readonly unknown: readonly UnknownTable[];
}

export interface TableShape {
  readonly table: MergedTable;
  /** Columns that a newer version appended; sealed with the rest, in this order. */
  readonly extra: readonly string[];
}

export interface UnknownTable {
  readonly name: string;
  /** Sealed columns in order. */
  readonly columns: readonly string[];
}

/** Derived from the rest, local, and never read from another file: which SQLite wrote them does not matter. */
const DERIVED = /^(search|search_[a-z_]+|task_overview|task_overview_[a-z_]+|session_overview|session_overview_[a-z_]+)$/;
/** Beside the merged tables, what a merge reads of the other file. */
const BOOKKEEPING = ["meta", "vv", "remove_floor", "aside"] as const;

interface SchemaObject {
  readonly type: string;
  readonly name: string;
  /** An index's. */
  readonly table: string;
  readonly sql: string;
}

/** The reason when the schema is not one that a heart can have. */
export function shapeOf(db: SqlDatabase): SourceShape | { readonly fault: string } {
  const ours = objectsOf(db, "main");
  const theirs = objectsOf(db, "s");
  const version = Number(db.get("pragma s.user_version")?.["user_version"] ?? 0);
  for (const { type, name } of theirs.values()) {
    if (type === "view" || type === "trigger") return { fault: `it has a ${type} named ${quoted(name)}, which no heart has` };
  }
  if (version > SCHEMA_VERSION) return newerShape(db, ours, theirs);
  const tables = mergedAt(version);
  const later = new Set(MERGED.flatMap((table) => (tables.includes(table) ? [] : [table.name])));
  for (const name of new Set([...ours.keys(), ...theirs.keys()])) {
    if (DERIVED.test(name)) continue;
    const own = ours.get(name);
    const expected = own !== undefined && later.has(own.table) ? undefined : own?.sql;
    if (expected !== theirs.get(name)?.sql) return { fault: `its table or index ${quoted(name)} is not that of a heart` };
  }
  return { tables: tables.map((table) => ({ table, extra: [] })), unknown: [] };
}

function newerShape(
  db: SqlDatabase,
  ours: ReadonlyMap<string, SchemaObject>,
  theirs: ReadonlyMap<string, SchemaObject>,
): SourceShape | { readonly fault: string } {
  const tables: TableShape[] = [];
  const bodies = MERGED.flatMap(({ merge }) => (merge.kind === "grow" && merge.body !== null ? [merge.body] : []));
  for (const name of [...BOOKKEEPING, ...bodies, ...MERGED.map((table) => table.name)]) {
    const known = columnsOf(db, "main", name);
    const found = columnsOf(db, "s", name);
    const same = known.every((column, i) => JSON.stringify(column) === JSON.stringify(found[i]));
    const extra = found.slice(known.length);
    const appended = extra.every(({ notnull, pk, hidden }) => notnull === 0 && pk === 0 && hidden === 0);
    if (!same || !appended) return { fault: `its table ${quoted(name)} is not that of a heart` };
    const table = MERGED.find((merged) => merged.name === name);
    if (table !== undefined) tables.push({ table, extra: extra.map((column) => column.name) });
  }
  for (const name of [...MERGED.map((table) => table.dot), "vv_hot"]) {
    if (ours.get(name)?.sql !== theirs.get(name)?.sql) return { fault: `its index ${quoted(name)} is not that of a heart` };
  }
  const unknown = [...theirs.values()]
    // A virtual table is code that would run on what the file says.
    .filter(({ type, name, sql }) => type === "table" && /^create table\b/i.test(sql) && !ours.has(name) && !DERIVED.test(name))
    .map(({ name }) => ({ name, columns: columnsOf(db, "s", name).map((column) => column.name) }))
    .filter(({ columns }) => ["actor", "seq", "mac"].every((name) => columns.includes(name)))
    .map(({ name, columns }) => ({ name, columns: columns.filter((column) => column !== "mac" && column !== "n") }));
  return { tables, unknown };
}

function objectsOf(db: SqlDatabase, schema: "main" | "s"): ReadonlyMap<string, SchemaObject> {
  const rows = db.all(
    `select type, name, tbl_name, coalesce(sql, '') as sql from ${schema}.sqlite_schema where name not like 'sqlite\\_%' escape '\\'`,
  );
  return new Map(
    rows.map((row) => {
      const name = String(row["name"]);
      return [name, { type: String(row["type"]), name, table: String(row["tbl_name"]), sql: String(row["sql"]) }];
    }),
  );
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly pk: number;
  readonly hidden: number;
}

const columnsOf = (db: SqlDatabase, schema: "main" | "s", table: string): readonly Column[] =>
  db.all(`select name, type, "notnull", pk, hidden from pragma_table_xinfo(?, ?) order by cid`, table, schema).map((row) => ({
    name: String(row["name"]),
    type: String(row["type"]),
    notnull: Number(row["notnull"]),
    pk: Number(row["pk"]),
    hidden: Number(row["hidden"]),
  }));

/** For a person: names in a hostile file may hold anything. */
const quoted = (name: string): string => JSON.stringify(name.slice(0, 60));

/** For SQL. */
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
