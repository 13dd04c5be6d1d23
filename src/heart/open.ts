import { dirname, join } from "node:path";
import type { Millis } from "../lib/brand.ts";
import { err, ok, unreachable, type Result } from "../lib/result.ts";
import { heartErrorOf, rollback } from "./failure.ts";
import { KEY_FILE, KEY_FILE_LIMIT, MAKING_FILE, readKeyFile, writeKeyFile, type HeartKey } from "./key-file.ts";
import { rowMac, type RowMac } from "./mac.ts";
import { HeartOverlay } from "./overlay.ts";
import type { Heart, HeartError } from "./port.ts";
import type { FileError, FileFacts, HeartDeps } from "./ports.ts";
import type { HeartParts } from "./parts.ts";
import { HeartReader } from "./reader.ts";
import { isEmpty, isExactSchema, judgeHeader, migrate, PRAGMAS, READ_ONLY_PRAGMAS, SCHEMA_VERSION, versionOf } from "./schema.ts";
import type { SqlDatabase } from "./sql.ts";
import { HeartStore } from "./store.ts";
import { rebuildStreams } from "./streams.ts";
import { MERGED, mergedAt } from "./tables.ts";
import { takeInAside } from "./aside.ts";
import { readMeta, writeMeta } from "./meta.ts";

/** `keysDir` belongs to the heart beside it. */
export type HeartPlace = { readonly file: string; readonly keysDir: string } | "memory";

/** A heart's file on its medium. */
export type StoredPlace = Exclude<HeartPlace, "memory">;

export interface OpenHeart extends Heart, HeartParts {
  /** 16 random bytes in hex. Replicas of one heart share it; without keys it is what the file claims. */
  readonly id: string;
  /**
   * Closes this heart and opens what is now in its place, after an `io` error or a pulled stick. Another heart there is
   * `foreign`. This one can no longer be used, whatever the result.
   */
  reopen(): Result<OpenHeart, HeartError>;
}

/**
 * Opens the heart, and makes it with its keys when there is none. What cannot be written is opened for reading with memory
 * on top, and `mode.warning` says why; what is not sound is an error and left as it is.
 *
 * Nothing is written by opening a heart that exists: a process that stores nothing leaves no trace.
 */
export function openHeart(deps: HeartDeps, where: HeartPlace, buildDate: Millis): Result<OpenHeart, HeartError> {
  if (where === "memory") {
    const { store, id } = memoryStore(deps, buildDate);
    return ok(reopenable(store, id, () => openHeart(deps, where, buildDate)));
  }
  const opening: Opening = { deps, buildDate, file: where.file, keysDir: where.keysDir };
  const found = open(opening);
  if (!found.ok) return found;
  const { heart, id } = found.value;
  const again = (): Result<OpenHeart, HeartError> => {
    const next = openHeart(deps, where, buildDate);
    if (!next.ok || next.value.id === id) return next;
    next.value[Symbol.dispose]();
    return err({ kind: "foreign", path: where.file });
  };
  return ok(reopenable(heart, id, again));
}

interface Opening {
  readonly deps: HeartDeps;
  readonly buildDate: Millis;
  readonly file: string;
  readonly keysDir: string;
}

interface Opened {
  readonly heart: Heart & { readonly parts: HeartParts };
  readonly id: string;
}

const READ_ONLY = "The stick is read-only: your history can be read, but what you say now is kept in memory and lost when Noctem ends.";
const READ_ONLY_EMPTY = "The stick is read-only: nothing is stored, and what you say now is lost when Noctem ends.";
const NO_KEYS =
  "The folder keys/ is missing beside the heart: your history can be read but not checked, and what you say now is kept in memory and lost when Noctem ends.";
const KEYS_OF_ANOTHER =
  "The folder keys/ is closed to this user: your history can be read but not checked, and what you say now is kept in memory and lost when Noctem ends.";
const UNFINISHED =
  "The stick is read-only and the heart was left in the middle of a write: your history can be read again once the stick is writable. Nothing is stored now.";

function open(opening: Opening): Result<Opened, HeartError> {
  const { deps, file, keysDir } = opening;
  // SQLite opens whatever has this name, and would wait for ever at a pipe.
  const journal = deps.files.inspect(`${file}-journal`);
  if (journal.kind === "not-a-file") return err({ kind: "damaged", path: `${file}-journal`, detail: `it is ${journal.detail}` });
  const first = deps.files.inspect(file);
  if (first.kind === "absent") return first.writable ? make(opening) : inMemory(opening, READ_ONLY_EMPTY);
  if (first.kind === "file" && deps.files.exists(join(keysDir, MAKING_FILE))) {
    return first.writable ? make(opening) : inMemory(opening, UNFINISHED);
  }
  // Looked at again: a maker that was busy at the first look, and whose mark is gone, is done by now.
  const facts = deps.files.inspect(file);
  return facts.kind === "file" ? openFile(opening, facts) : err(noFile(facts, file));
}

function noFile(facts: Exclude<FileFacts, { kind: "file" }>, path: string): HeartError {
  switch (facts.kind) {
    case "absent":
      return { kind: "io", path, detail: "it went away while it was being opened" };
    case "no-folder":
      return { kind: "unreadable", path, detail: "its folder does not exist" };
    case "not-a-file":
      return { kind: "damaged", path, detail: `it is ${facts.detail}` };
    case "unreadable":
    case "io":
      return { kind: facts.kind, path, detail: facts.detail };
    default:
      return unreachable(facts);
  }
}

function openFile(opening: Opening, facts: Extract<FileFacts, { kind: "file" }>): Result<Opened, HeartError> {
  const { deps, file, keysDir } = opening;
  const header = judgeHeader(facts.head);
  if (header.kind === "newer") return err({ kind: "newer", path: file, found: header.version, known: SCHEMA_VERSION });
  if (header.kind !== "heart") return err({ kind: "damaged", path: file, detail: headerFault(facts, header.kind) });

  const bytes = deps.files.read(join(keysDir, KEY_FILE), KEY_FILE_LIMIT);
  if (!bytes.ok) return bytes.error.kind === "denied" ? overlay(opening, null, KEYS_OF_ANOTHER) : err(keyError(keysDir, bytes.error));
  if (bytes.value === null) return overlay(opening, null, NO_KEYS);
  const key = readKeyFile(bytes.value, deps.crypto);
  if (!key.ok) return err({ kind: "keys-broken", path: join(keysDir, KEY_FILE), detail: key.error });
  if (!facts.writable) return overlay(opening, key.value, READ_ONLY);
  const stored = openStored(opening, key.value);
  // The folder's modes promised more than the medium holds.
  return !stored.ok && stored.error.kind === "read-only" ? overlay(opening, key.value, READ_ONLY) : stored;
}

function headerFault({ size }: { readonly size: number }, kind: "not-sqlite" | "not-heart"): string {
  if (size === 0) return "it is empty";
  return kind === "not-sqlite" ? "it is not a SQLite file" : "it is a SQLite file, but not a heart";
}

function openStored(opening: Opening, key: HeartKey): Result<Opened, HeartError> {
  const connection = connectStored(opening, key);
  return connection.ok ? ok({ heart: storeOver(opening, connection.value, key), id: key.heart }) : connection;
}

/** For writing: brought up to this version, and checked. */
function connectStored(opening: Opening, key: HeartKey): Result<SqlDatabase, HeartError> {
  const { deps, file } = opening;
  const connect = () => deps.sql.open(file, { create: false, readOnly: false });
  return withDatabase(file, connect, (db) => {
    db.exec(PRAGMAS);
    const outdated = checkVersion(db, file);
    if (!outdated.ok) return outdated;
    // Not a byte of another heart is changed: whose it is comes first.
    const ours = checkIdentity(opening, db, key);
    if (!ours.ok) return ours;
    // Before it is brought up: statements of ours do what they say in tables of ours alone.
    const sound = check(opening, db, key);
    if (!sound.ok) return sound;
    if (outdated.value) upgrade(db, rowMac(deps.crypto, key.key));
    return ok(db);
  });
}

/** A connection of its own to a heart that is there and can be written, for work on the whole of it. */
export interface StoredHeart {
  readonly db: SqlDatabase;
  readonly mac: RowMac;
  readonly id: string;
}

/**
 * Runs `work` on a heart that exists. Nothing is made, and nothing falls back to memory: what cannot be written is `read-only` and missing
 * keys are `keys-missing`. The connection is closed afterwards; other connections of this process learn of a commit as of another process's.
 */
export function withStoredHeart<T>(
  deps: HeartDeps,
  place: StoredPlace,
  work: (heart: StoredHeart) => Result<T, HeartError>,
): Result<T, HeartError> {
  const { file, keysDir } = place;
  const opening: Opening = { deps, buildDate: 0 as Millis, file, keysDir };
  const facts = deps.files.inspect(file);
  if (facts.kind !== "file") return err(noFile(facts, file));
  const header = judgeHeader(facts.head);
  if (header.kind === "newer") return err({ kind: "newer", path: file, found: header.version, known: SCHEMA_VERSION });
  if (header.kind !== "heart") return err({ kind: "damaged", path: file, detail: headerFault(facts, header.kind) });
  const bytes = deps.files.read(join(keysDir, KEY_FILE), KEY_FILE_LIMIT);
  if (!bytes.ok) return err(keyError(keysDir, bytes.error));
  if (bytes.value === null) return err({ kind: "keys-missing", path: file });
  const key = readKeyFile(bytes.value, deps.crypto);
  if (!key.ok) return err({ kind: "keys-broken", path: join(keysDir, KEY_FILE), detail: key.error });
  if (!facts.writable) return err({ kind: "read-only", path: file });
  const connection = connectStored(opening, key.value);
  if (!connection.ok) return connection;
  using db = connection.value;
  return work({ db, mac: rowMac(deps.crypto, key.value.key), id: key.value.heart });
}

/**
 * Makes the heart, or finishes one that was left in the making, and opens it.
 *
 * All of it happens under SQLite's write lock, which every file system has, so that two first starts at once make one heart; and the
 * keys are on the medium before the heart is, so that no power cut leaves a heart without them. Until the end a mark in `keys/`
 * says that an empty file, or one whose first transaction SQLite will roll back, is no loss.
 */
function make(opening: Opening): Result<Opened, HeartError> {
  const { deps, file, keysDir } = opening;
  const mark = join(keysDir, MAKING_FILE);
  const marked = deps.files.create(mark, new Uint8Array());
  if (!marked.ok) return marked.error.kind === "read-only" ? inMemory(opening, READ_ONLY_EMPTY) : err(fileHeartError(mark, marked.error));
  const made = withDatabase(
    file,
    () => deps.sql.open(file, { create: true, readOnly: false }),
    (db): Result<null, HeartError> => {
      db.exec(PRAGMAS);
      db.exec("begin immediate");
      if (versionOf(db) === 0) {
        // A mark that stayed must not turn somebody's database into a heart.
        if (!isEmpty(db)) return err({ kind: "damaged", path: file, detail: headerFault({ size: 1 }, "not-heart") });
        const key = firstKey(opening);
        if (!key.ok) return key;
        migrate(db, 0);
        const mac = rowMac(deps.crypto, key.value.key);
        writeMeta(db, mac, ["heart", Uint8Array.fromHex(key.value.heart)]);
        writeMeta(db, mac, ["replica", deps.random.bytes(16)]);
        writeMeta(db, mac, ["hlc", 0]);
        rebuildStreams(db, mac);
      }
      db.exec("commit");
      db[Symbol.dispose]();
      return ok(null);
    },
  );
  if (!made.ok) return made;
  // If it stays, the next start finds nothing to finish.
  deps.files.remove(mark);
  const facts = deps.files.inspect(file);
  return facts.kind === "file" ? openFile(opening, facts) : err(noFile(facts, file));
}

/** The key that is there, else a new one. Keys without a heart are a heart that was moved away: the new one is its replica. */
function firstKey({ deps, keysDir }: Opening): Result<HeartKey, HeartError> {
  const path = join(keysDir, KEY_FILE);
  const fresh: HeartKey = { heart: deps.random.bytes(16).toHex(), key: deps.random.bytes(32) };
  // Twice: between the look and the making somebody may have copied keys there.
  for (let attempt = 0; attempt < 2; attempt++) {
    const bytes = deps.files.read(path, KEY_FILE_LIMIT);
    if (!bytes.ok) return err(keyError(keysDir, bytes.error));
    if (bytes.value !== null) {
      const key = readKeyFile(bytes.value, deps.crypto);
      return key.ok ? key : err({ kind: "keys-broken", path, detail: key.error });
    }
    const made = deps.files.create(path, writeKeyFile(fresh, deps.crypto));
    if (!made.ok) return err(fileHeartError(path, made.error));
    if (made.value === "created") return ok(fresh);
  }
  return err({ kind: "keys-broken", path, detail: "it comes and goes" });
}

/** A heart that cannot be written, or not checked: read-only, with memory on top. `key` is null where the keys are missing. */
function overlay(opening: Opening, key: HeartKey | null, warning: string): Result<Opened, HeartError> {
  const { deps, file, buildDate } = opening;
  const opened = withDatabase(
    file,
    () => deps.sql.open(file, { create: false, readOnly: true }),
    (db): Result<Opened, HeartError> => {
      db.exec(READ_ONLY_PRAGMAS);
      const version = checkVersion(db, file);
      if (!version.ok) return version;
      const sound = check(opening, db, key);
      if (!sound.ok) return sound;
      const trusted = key === null ? null : rowMac(deps.crypto, key.key);
      const base = new HeartReader(db, file, trusted, deps.crypto);
      const memory = memoryStore(deps, buildDate).store;
      return ok({
        heart: new HeartOverlay({
          base,
          trusted,
          memory,
          mode: { kind: "memory", warning },
          file,
          crypto: deps.crypto,
          random: deps.random,
        }),
        id: sound.value,
      });
    },
  );
  // A journal that only a writable medium could roll back: what the file says now may be half of a transaction.
  if (!opened.ok && (opened.error.kind === "read-only" || opened.error.kind === "io")) return inMemory(opening, UNFINISHED);
  return opened;
}

function inMemory({ deps, buildDate }: Opening, warning: string): Result<Opened, HeartError> {
  const { store, id } = memoryStore(deps, buildDate, warning);
  return ok({ heart: store, id });
}

/** A heart in memory alone, under a key that is never written anywhere. */
function memoryStore(
  deps: HeartDeps,
  buildDate: Millis,
  warning: string | null = null,
): { readonly store: HeartStore; readonly id: string } {
  const db = deps.sql.open(":memory:", { create: true, readOnly: false });
  db.exec(PRAGMAS);
  migrate(db, 0);
  const key: HeartKey = { heart: deps.random.bytes(16).toHex(), key: deps.random.bytes(32) };
  const { clock, random, crypto, writer } = deps;
  const mac = rowMac(crypto, key.key);
  rebuildStreams(db, mac);
  const env = { file: ":memory:", mac, clock, random, buildDate, writer };
  return { store: new HeartStore({ db, mode: { kind: "memory", warning }, crypto, env }), id: key.heart };
}

function storeOver({ deps, buildDate, file }: Opening, db: SqlDatabase, key: HeartKey): HeartStore {
  const { clock, random, crypto, writer } = deps;
  const env = { file, mac: rowMac(crypto, key.key), clock, random, buildDate, writer };
  return new HeartStore({ db, mode: { kind: "stored" }, crypto, env });
}

/** True when the file is of an older version. The header was read before SQLite rolled back what a crash left: this is the truth. */
function checkVersion(db: SqlDatabase, file: string): Result<boolean, HeartError> {
  const version = versionOf(db);
  if (version === 0) return err({ kind: "damaged", path: file, detail: "its making was never finished" });
  return version > SCHEMA_VERSION
    ? err({ kind: "newer", path: file, found: version, known: SCHEMA_VERSION })
    : ok(version < SCHEMA_VERSION);
}

function upgrade(db: SqlDatabase, mac: RowMac): void {
  db.exec("begin immediate");
  // Another process may have done it while this one waited for the lock.
  const from = versionOf(db);
  if (from < SCHEMA_VERSION) {
    migrate(db, from);
    const before = mergedAt(from);
    const added = MERGED.filter((table) => !before.includes(table));
    // Before the second version nothing was merged, counted or kept aside. From then on to count anew would make up for what is missing.
    if (before.length > 0) takeInAside(db, mac, added);
    else rebuildStreams(db, mac);
  }
  db.exec("commit");
}

/** The tables are ours to the letter, and the heart is the one that the keys are for. Returns its id. */
function check(opening: Opening, db: SqlDatabase, key: HeartKey | null): Result<string, HeartError> {
  const { deps, file } = opening;
  if (!isExactSchema(db, deps)) return err({ kind: "damaged", path: file, detail: "its tables are not those of a heart" });
  return checkIdentity(opening, db, key);
}

function checkIdentity({ deps, file }: Opening, db: SqlDatabase, key: HeartKey | null): Result<string, HeartError> {
  const row = readMeta(db, "heart");
  const id = row?.["v"];
  if (row === null || !(id instanceof Uint8Array)) return err({ kind: "damaged", path: file, detail: "it does not say which heart it is" });
  if (key === null) return ok(id.toHex());
  if (id.toHex() !== key.heart) return err({ kind: "foreign", path: file });
  // Same id, and the key file is sound by its own check: the heart's row was altered.
  if (!rowMac(deps.crypto, key.key).verify("meta", ["heart", id], row["mac"] ?? null)) {
    return err({ kind: "damaged", path: file, detail: "its identity was altered" });
  }
  return ok(key.heart);
}

/** Opens, and closes again unless `work` succeeds. */
function withDatabase<T>(
  file: string,
  connect: () => SqlDatabase,
  work: (db: SqlDatabase) => Result<T, HeartError>,
): Result<T, HeartError> {
  let db: SqlDatabase | null = null;
  try {
    db = connect();
    const result = work(db);
    if (!result.ok) close(db);
    return result;
  } catch (error) {
    if (db !== null) close(db);
    return err(heartErrorOf(error, file));
  }
}

function close(db: SqlDatabase): void {
  rollback(db);
  db[Symbol.dispose]();
}

const keyError = (keysDir: string, error: FileError): HeartError =>
  error.kind === "io"
    ? { kind: "io", path: keysDir, detail: error.detail }
    : { kind: "keys-broken", path: join(keysDir, KEY_FILE), detail: error.detail };

function fileHeartError(path: string, { kind, detail }: FileError): HeartError {
  switch (kind) {
    case "full":
    case "read-only":
      return { kind, path: dirname(path) };
    case "denied":
      return { kind: "unreadable", path, detail };
    case "unreadable":
    case "io":
      return { kind, path, detail };
    default:
      return unreachable(kind);
  }
}

/** Adds what only an opened heart has. A plain object over the class: three classes implement `Heart`, one function reopens. */
function reopenable(heart: Opened["heart"], id: string, again: () => Result<OpenHeart, HeartError>): OpenHeart {
  return {
    ...heart.parts,
    id,
    mode: heart.mode,
    createSession: () => heart.createSession(),
    append: (message) => heart.append(message),
    path: (session) => heart.path(session),
    show: (session, message) => heart.show(session, message),
    sessions: (limit) => heart.sessions(limit),
    messages: (session) => heart.messages(session),
    findSession: (prefix) => heart.findSession(prefix),
    newestSession: () => heart.newestSession(),
    deleteSession: (session) => heart.deleteSession(session),
    redact: (message) => heart.redact(message),
    version: () => heart.version(),
    [Symbol.dispose]: () => heart[Symbol.dispose](),
    reopen: () => {
      heart[Symbol.dispose]();
      return again();
    },
  };
}
