import { err, ok, type Result } from "../../lib/result.ts";
import { heartErrorOf, rollback } from "../failure.ts";
import { rowMac } from "../mac.ts";
import type { StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartDeps, HeartFiles } from "../ports.ts";
import { judgeHeader, migrate, PRAGMAS, READ_ONLY_PRAGMAS, SCHEMA_VERSION, versionOf } from "../schema.ts";
import { SqlError, type SqlDatabase, type SqlRow, type SqlValue } from "../sql.ts";
import { checkRoom, clearDraft, draftOf, fileHeartError, finishDraft } from "./copy.ts";
import { keyOf } from "./keys.ts";
import { filePages, pageRows, readPageOf, type PageRow } from "./pages.ts";
import { Salvage, type StoredTable } from "./salvage.ts";

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

/** A version that might be true. A larger number in a damaged header is damage. */
const ANY_VERSION = 1000;
/** Nobody counts on a draft before it is synced as a whole. The cache is for rows that come in the order of a broken tree's pages. */
const OF_A_DRAFT = "pragma journal_mode = memory; pragma synchronous = off; pragma cache_size = -16384";
/** No row takes less on a page, with its pointer: a walk that yields more rows than that goes in circles. */
const ROW_BYTES = 4;

/**
 * Saves every row whose seal holds into a new file, `target`, which is verified before it is put there. The damaged one is only read.
 *
 * First through SQLite, table by table. When that does not bring all that the version vector claims, every page of the file is looked
 * at by itself, so that a row is lost only with the page on which it stands. A stream of which rows are missing is marked (`gap`): it
 * still merges, and the first whole copy fills it in. Keys are needed: without them nothing can be told from its damage.
 */
export function repairHeart(deps: HeartDeps, place: StoredPlace, target: string): Result<RepairReport, HeartError> {
  const { file, keysDir } = place;
  if (deps.files.exists(target)) return err({ kind: "exists", path: target });
  const key = keyOf(deps, place);
  if (!key.ok) return key;
  const facts = deps.files.inspect(file);
  if (facts.kind !== "file") {
    const detail = facts.kind === "absent" || facts.kind === "no-folder" ? "there is no such file" : facts.detail;
    return err({ kind: "unreadable", path: file, detail });
  }
  const header = judgeHeader(facts.head);
  if (header.kind === "newer" && header.version < ANY_VERSION) {
    return err({ kind: "newer", path: file, found: header.version, known: SCHEMA_VERSION });
  }
  const room = checkRoom(deps, target, facts.size);
  if (!room.ok) return room;
  const cleared = clearDraft(deps, target);
  if (!cleared.ok) return cleared;
  const saved = save(deps, { file, size: facts.size, target }, key.value.key);
  if (!saved.ok) {
    clearDraft(deps, target);
    return saved;
  }
  const finished = finishDraft(deps, target, keysDir);
  return finished.ok ? saved : finished;
}

interface Job {
  readonly file: string;
  readonly size: number;
  readonly target: string;
}

function save(deps: HeartDeps, job: Job, key: { readonly heart: string; readonly key: Uint8Array }): Result<RepairReport, HeartError> {
  let fresh: SqlDatabase | null = null;
  try {
    using source = openSource(deps, job);
    fresh = deps.sql.open(draftOf(job.target), { create: true, readOnly: false });
    fresh.exec(PRAGMAS);
    fresh.exec(OF_A_DRAFT);
    fresh.exec("begin immediate");
    migrate(fresh, 0);
    const salvage = new Salvage(fresh, rowMac(deps.crypto, key.key), deps.crypto);
    const lost: Record<string, number> = {};
    const walked = source.db !== null && walkTables(source.db, salvage, job.size, lost);
    if (!walked || Object.keys(lost).length > 0 || !salvage.isWhole()) readPages(deps.files, source.file, salvage);
    if (salvage.sealed === 0) {
      fresh.exec("rollback");
      return err(notOurs(source.db, key.heart, job.file));
    }
    const { missing, gaps } = salvage.finish(Uint8Array.fromHex(key.heart), deps.random);
    const kept = salvage.counts();
    fresh.exec("commit");
    return ok({ file: job.target, kept, lost, missing, gaps });
  } catch (error) {
    if (fresh !== null) rollback(fresh);
    if (error instanceof SourceFailure) return err(error.error);
    return err(heartErrorOf(error, job.target));
  } finally {
    fresh?.[Symbol.dispose]();
  }
}

/** The damaged file, or a copy of it in which what was under way is taken back. `db` is null when SQLite will not have it. */
interface SourceFile extends Disposable {
  readonly db: SqlDatabase | null;
  readonly file: string;
}

class SourceFailure extends Error {
  readonly error: HeartError;
  constructor(error: HeartError) {
    super(`the damaged heart cannot be read: ${error.kind}`);
    this.error = error;
  }
}

function openSource(deps: HeartDeps, job: Job): SourceFile {
  const opened = tryOpen(deps, job.file, true);
  if (opened.code === "SQLITE_BUSY") throw new SourceFailure({ kind: "locked", path: job.file });
  const journal = deps.files.inspect(`${job.file}-journal`);
  const isHot = opened.db === null && journal.kind === "file" && journal.size > 0 && /^SQLITE_(?:READONLY|CANTOPEN)/.test(opened.code);
  if (!isHot) return { db: opened.db, file: job.file, [Symbol.dispose]: () => opened.db?.[Symbol.dispose]() };
  // A write that was cut off: SQLite takes it back in whatever file it may write, and that is not the damaged one.
  const room = checkRoom(deps, job.target, 2 * job.size + journal.size);
  if (!room.ok) throw new SourceFailure(room.error);
  const copy = draftOf(`${job.target}.source`);
  const remove = (): void => {
    clearDraft(deps, `${job.target}.source`);
  };
  remove();
  for (const end of ["", "-journal"]) {
    const copied = deps.files.copy(`${job.file}${end}`, `${copy}${end}`);
    if (copied.ok) continue;
    remove();
    throw new SourceFailure(fileHeartError(job.target, copied.error));
  }
  const { db } = tryOpen(deps, copy, false);
  return {
    db,
    file: copy,
    [Symbol.dispose]: () => {
      db?.[Symbol.dispose]();
      remove();
    },
  };
}

/** Holds a read lock, so that what is walked and what is then read page by page is one state of the file. */
function tryOpen(deps: HeartDeps, file: string, readOnly: boolean): { readonly db: SqlDatabase | null; readonly code: string } {
  let db: SqlDatabase | null = null;
  try {
    db = deps.sql.open(file, { create: false, readOnly });
    db.exec(READ_ONLY_PRAGMAS);
    db.exec("begin");
    db.get("select count(*) from sqlite_schema");
    return { db, code: "" };
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    db?.[Symbol.dispose]();
    return { db: null, code: error.code };
  }
}

/** Every row that SQLite can reach. False when a broken page ended one of the walks. */
function walkTables(source: SqlDatabase, salvage: Salvage, size: number, lost: Record<string, number>): boolean {
  let whole = true;
  for (const table of salvage.tables()) {
    if (!isThere(source, table.name)) continue;
    const sql = `select ${table.columns.join(", ")} from ${table.name}`;
    const done = walk(source, sql, Math.ceil(size / ROW_BYTES), (row) => {
      // Local, and not sealed.
      if (table.name === "meta" && row["k"] === "indexed") return;
      if (salvage.take(table.name, row) === "altered") lost[table.name] = (lost[table.name] ?? 0) + 1;
    });
    whole &&= done;
  }
  return whole;
}

/** An older version has fewer tables; where not even that can be read, the walk says so. */
function isThere(source: SqlDatabase, table: string): boolean {
  try {
    return source.get("select 1 from sqlite_schema where name = ?", table) !== null || versionOf(source) >= SCHEMA_VERSION;
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    return true;
  }
}

function walk(source: SqlDatabase, sql: string, most: number, visit: (row: SqlRow) => void): boolean {
  let inVisit = false;
  let rows = 0;
  try {
    source.each(sql, (row) => {
      inVisit = true;
      if (++rows > most) throw new SqlError("SQLITE_CORRUPT", "more rows than there is room for");
      visit(row);
      inVisit = false;
    });
    return true;
  } catch (error) {
    // The new file's faults are not the old one's: a full medium ends the repair.
    const isOurs = error instanceof SqlError && (!inVisit || rows > most);
    if (!isOurs) throw error;
    return false;
  }
}

function readPages(files: HeartFiles, file: string, salvage: Salvage): void {
  const facts = files.inspect(file);
  const size = facts.kind === "file" ? facts.size : 0;
  const readPage = readPageOf(files, file, size);
  const tables = salvage.tables();
  for (const isText of [false, true]) {
    const wanted = tables.filter((table) => table.isText === isText);
    for (const [number, page] of filePages(files, file, size)) {
      for (const row of pageRows(page, number, readPage)) takeFrom(row, wanted, salvage);
    }
  }
}

/** A page does not say whose it is; the row's seal does. */
function takeFrom({ rowid, values }: PageRow, tables: readonly StoredTable[], salvage: Salvage): void {
  for (const { name, columns, isNumbered, number, least } of tables) {
    if (isNumbered !== (rowid !== null) || values.length < least || values.length > columns.length) continue;
    const row: Record<string, SqlValue> = {};
    for (const [i, column] of columns.entries()) row[column] = column === number ? rowid : (values[i] ?? null);
    if (salvage.take(name, row) !== "altered") return;
  }
}

function notOurs(source: SqlDatabase | null, heart: string, path: string): HeartError {
  try {
    const id = source?.get("select v from meta where k = 'heart'")?.["v"];
    if (id instanceof Uint8Array && id.toHex() !== heart) return { kind: "foreign", path };
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
  }
  return { kind: "damaged", path, detail: "nothing in it was written under these keys" };
}
