import first from "./migrations/0001-messages.sql" with { type: "text" };
import second from "./migrations/0002-merge.sql" with { type: "text" };
import third from "./migrations/0003-leaf.sql" with { type: "text" };
import type { HeartCrypto, HeartDeps } from "./ports.ts";
import type { SqlDatabase, SqlRow } from "./sql.ts";

/** Migration `i` leads from version `i` to `i + 1`. One that has been released is never edited. */
const MIGRATIONS: readonly string[] = [first, second, third];
export const SCHEMA_VERSION = MIGRATIONS.length;

/** "NoCt" in the file's header: this SQLite file is a heart. */
export const APPLICATION_ID = 0x4e6f4374;

/** The caller holds a transaction, so that a heart is at one version or the next. */
export function migrate(db: SqlDatabase, from: number, to = SCHEMA_VERSION): void {
  for (const sql of MIGRATIONS.slice(from, to)) db.exec(sql);
  db.exec(`pragma user_version = ${to}; pragma application_id = ${APPLICATION_ID}`);
}

/**
 * Settings of a connection; none of them outlives it but the page size, which counts in a new file only.
 *
 * At rest a heart is one self-contained file, because people copy just that: hence a rollback journal and no WAL. EXTRA syncs the
 * folder after the journal is gone, without which a power cut can undo an acknowledged commit.
 * secure_delete writes zeroes over what is forgotten. The last three are for files that others may have touched.
 */
export const PRAGMAS = `
pragma busy_timeout = 5000;
pragma page_size = 4096;
pragma journal_mode = truncate;
pragma synchronous = extra;
pragma secure_delete = on;
pragma temp_store = memory;
pragma trusted_schema = off;
pragma cell_size_check = on;
pragma mmap_size = 0;
`;

/** The same for a connection that may not write. */
export const READ_ONLY_PRAGMAS = `
pragma busy_timeout = 5000;
pragma temp_store = memory;
pragma trusted_schema = off;
pragma cell_size_check = on;
pragma mmap_size = 0;
`;

export type HeaderVerdict =
  | { readonly kind: "heart"; readonly version: number }
  | { readonly kind: "not-sqlite" }
  | { readonly kind: "not-heart" }
  | { readonly kind: "newer"; readonly version: number };

/** Judges the first 100 bytes of a file, so that what is not ours is refused before SQLite touches it. */
export function judgeHeader(head: Uint8Array): HeaderVerdict {
  const magic = new TextEncoder().encode("SQLite format 3\0");
  if (head.length < 100 || magic.some((byte, i) => head[i] !== byte)) return { kind: "not-sqlite" };
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  // Offsets from the SQLite file format, section 1.3.
  const version = view.getUint32(60);
  if (view.getUint32(68) !== APPLICATION_ID || version === 0) return { kind: "not-heart" };
  return version > SCHEMA_VERSION ? { kind: "newer", version } : { kind: "heart", version };
}

/** Of the connected heart; 0 for a file that is none yet. */
export const versionOf = (db: SqlDatabase): number => Number(db.get("pragma user_version")?.["user_version"] ?? 0);

export const isEmpty = (db: SqlDatabase): boolean => db.get("select 1 from sqlite_schema limit 1") === null;

/**
 * Whether the tables are ours to the letter, at the version that the file says it has. A trigger, a view or another column type would make our statements do something
 * else than they say. Tables of SQLite's own (`sqlite_stat1`) are left alone.
 */
export function isExactSchema(db: SqlDatabase, { sql, crypto }: Pick<HeartDeps, "sql" | "crypto">): boolean {
  const version = versionOf(db);
  const found = objectsOf(db);
  if (schemaDigest(found, crypto) === SCHEMA_DIGESTS[version - 1]) return true;
  using fresh = sql.open(":memory:", { create: true, readOnly: false });
  migrate(fresh, 0, version);
  const known = objectsOf(fresh);
  return found.length === known.length && known.every((object, i) => isSame(object, found[i], fresh, db));
}

/**
 * Of each version's tables as the SQLite of this program writes them. To make all tables anew and compare, at every opening and before every merge, takes some
 * two milliseconds; it is left for files that another SQLite made.
 */
export const SCHEMA_DIGESTS: readonly string[] = [
  "212fddf7987f4348506e7103174214f4c7aff575d5b7fc3fc0b2c16b9db428db",
  "32ecf9ac2230e5bc3233fea33a5fb753e1bb2b9c9368385e4d3560c0a86afe6f",
  "7aff83102536d13a6cf7045c7260d3f2a0e4224078756e0b49b7a56b013a4230",
];

/** SHA-256 in hex. */
export const schemaDigest = (objects: readonly SqlRow[], crypto: HeartCrypto): string =>
  crypto.sha256(new TextEncoder().encode(JSON.stringify(objects.map((row) => SCHEMA_COLUMNS.map((column) => row[column]))))).toHex();

const SCHEMA_COLUMNS = ["type", "name", "tbl_name", "sql"] as const;
export const objectsOf = (db: SqlDatabase): readonly SqlRow[] =>
  db.all("select type, name, tbl_name, sql from sqlite_schema where name not like 'sqlite\\_%' escape '\\' order by type, name");

function isSame(known: SqlRow, found: SqlRow | undefined, fresh: SqlDatabase, db: SqlDatabase): boolean {
  if (found === undefined || ["type", "name", "tbl_name"].some((column) => known[column] !== found[column])) return false;
  if (known["sql"] === found["sql"]) return true;
  // How the search index stores its words is SQLite's own matter: another version of it may write this differently or append a column.
  const name = String(known["name"]);
  if (!/^search_[a-z]+$/.test(name) || !PLAIN_TABLE.test(String(found["sql"]))) return false;
  const columns = columnsOf(db, name);
  return columnsOf(fresh, name).every((column, i) => column === columns[i]);
}

/** A table of bare columns: nothing that computes (checks, defaults, generated columns), and no virtual one. */
const PLAIN_TABLE =
  /^create table ['"]?search_[a-z]+['"]? ?\((?!.*\b(?:check|default|generated|as|collate|references|select)\b)[\w ,]*(?:primary key ?\([\w ,]*\))?[\w ,]*\)(?: without rowid)?$/i;

const columnsOf = (db: SqlDatabase, table: string): readonly string[] =>
  db.all("select name from pragma_table_xinfo(?)", table).map((row) => String(row["name"]));
