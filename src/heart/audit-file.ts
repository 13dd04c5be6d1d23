import { err, ok, type Result } from "../lib/result.ts";
import { heartErrorOf, HeartFailure, rollback } from "./failure.ts";
import type { HeartError } from "./port.ts";
import type { HeartDeps } from "./ports.ts";
import { EVERY_BEGINNING, EVERY_LEAF, inVersion, leavesOf, leavesUnder, OF_SESSION, RECENT } from "./leaf-rows.ts";
import { leftBehind, liveHeads } from "./live-heads.ts";
import { isExactSchema, READ_ONLY_PRAGMAS, versionOf } from "./schema.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";
import { refuseFile } from "./merge/source.ts";
import { Namespace } from "./tables.ts";
import { bodyHash } from "./rows.ts";

/** A leaf as it lies in a file. */
export interface LeafRow {
  /** Of the row, in hex: where the file files it, whatever the leaf says. */
  readonly session: string;
  readonly actor: number;
  readonly leaf: string;
}

/**
 * The log in a heart's file, read without any key: what is believed of it is the matter of `src/audit`. Tables are walked, never indexes: a row that an
 * index does not show is there all the same. One state of the file, whatever others commit meanwhile. Methods throw `HeartFailure`.
 */
export interface AuditFile extends Disposable {
  /** As the file claims. */
  readonly heart: string;
  /** Rows of any kind, for a bar of progress. */
  readonly rows: number;
  each(visit: (row: LeafRow, done: number) => void): void;
  /** First leaves of sessions alone. */
  beginnings(visit: (row: LeafRow) => void): void;
  /** Every leaf that is filed under a session; walks the whole table. */
  session(session: string): readonly LeafRow[];
  /** The leaves of one session by the index, for one that was checked. */
  leavesOf(session: string): readonly string[];
  /** The newest by their rows' stamps, by the index, each once wherever copies that met left it twice: for a look, not for a judgement. */
  recent(limit: number): readonly LeafRow[];
  /** Signed notes by their keys; a key is a session, or a session and something that tells a second version. */
  checkpoints(): readonly { readonly key: string; readonly actor: number; readonly note: string }[];
  /** Sessions that have ended and have an earlier checkpoint of the time before beside it, which no writer leaves. */
  leftBehind(): readonly string[];
  /** Whether a payload is the one of this hash; null when it is gone. */
  isPayload(id: string, hash: string): boolean | null;
  payload(id: string): string | null;
  /** As it has to be stored elsewhere to be the same. */
  salted(id: string): SaltedText | null;
}

export interface SaltedText {
  readonly salt: Uint8Array;
  readonly body: string;
}

/** `unreadable`, `damaged`, `newer`, `outdated`, `unfinished`: it cannot be read as it is. No key is asked for and nothing is written. */
export function openAuditFile(deps: Pick<HeartDeps, "sql" | "files" | "crypto">, file: string): Result<AuditFile, HeartError> {
  const refusal = refuseFile(file, deps.files.inspect(file), deps.files.inspect(`${file}-journal`));
  if (refusal !== null) return err(refusal);
  let db: SqlDatabase | null = null;
  try {
    db = deps.sql.open(file, { create: false, readOnly: true });
    db.exec(READ_ONLY_PRAGMAS);
    db.exec("pragma cache_size = -16384");
    db.exec("begin");
    if (!isExactSchema(db, deps)) throw closing(db, { kind: "damaged", path: file, detail: "its tables are not those of a heart" });
    const id = db.get("select v from meta where k = 'heart'")?.["v"];
    if (!(id instanceof Uint8Array) || id.length !== 16)
      throw closing(db, { kind: "damaged", path: file, detail: "it does not say which heart it is" });
    return ok(reading(db, file, id.toHex(), deps));
  } catch (error) {
    if (error instanceof Refusal) return err(error.error);
    if (db !== null) close(db);
    return err(heartErrorOf(error, file));
  }
}

class Refusal extends Error {
  readonly error: HeartError;
  constructor(error: HeartError) {
    super(error.kind);
    this.error = error;
  }
}

function closing(db: SqlDatabase, error: HeartError): Refusal {
  close(db);
  return new Refusal(error);
}

function close(db: SqlDatabase): void {
  rollback(db);
  db[Symbol.dispose]();
}

function reading(db: SqlDatabase, file: string, heart: string, { crypto }: Pick<HeartDeps, "crypto">): AuditFile {
  const safely = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw new HeartFailure(heartErrorOf(error, file));
    }
  };
  const version = safely(() => versionOf(db));
  const last = (table: string): number => Number(db.get(`select max(n) as n from ${table}`)?.["n"] ?? 0);
  const lengths = safely(() => inVersion(["entry", "leaf"], version).map(last));
  const rowsOf = (row: SqlRow): readonly LeafRow[] => {
    const { session, actor } = row;
    return session instanceof Uint8Array ? leavesOf(row).map((leaf) => ({ session: session.toHex(), actor: Number(actor), leaf })) : [];
  };
  /** `done`: rows by then, of both tables. */
  const walk = (pair: Parameters<typeof inVersion>[0], visit: (row: SqlRow, done: number) => void, ...params: readonly SqlValue[]): void =>
    safely(() =>
      inVersion(pair, version).forEach((sql, i) =>
        db.each(sql, (row) => visit(row, Number(row["n"]) + (i === 0 ? 0 : (lengths[0] ?? 0))), ...params),
      ),
    );
  const bodyOf = (id: string): SaltedText | null => {
    const { salt, body } = (ID.test(id) ? safely(() => db.get(PAYLOAD, Uint8Array.fromHex(id))) : null) ?? {};
    return salt instanceof Uint8Array && typeof body === "string" ? { salt, body } : null;
  };
  return {
    heart,
    rows: lengths.reduce((sum, length) => sum + length, 0),
    each: (visit) =>
      walk(EVERY_LEAF, (row, done) => {
        for (const leaf of rowsOf(row)) visit(leaf, done);
      }),
    beginnings: (visit) =>
      walk(EVERY_BEGINNING, (row) => {
        for (const leaf of rowsOf(row).slice(0, 1)) visit(leaf);
      }),
    session(session) {
      const rows: LeafRow[] = [];
      walk(OF_SESSION, (row) => rows.push(...rowsOf(row)), Uint8Array.fromHex(session));
      return rows;
    },
    leavesOf: (session) => safely(() => leavesUnder(db, session)),
    recent(limit) {
      const found = inVersion(RECENT, version)
        .flatMap((sql) => safely(() => db.all(sql, limit)))
        .toSorted((a, b) => Number(b["hlc"]) - Number(a["hlc"]))
        .flatMap((row) => rowsOf(row).toReversed());
      return [...new Map(found.map((row) => [row.leaf, row])).values()].slice(0, limit);
    },
    checkpoints() {
      const registers = safely(() => db.all("select k, v, actor from cell where ns = ? and v is not null", Namespace.AUDIT)).flatMap(
        ({ k, v, actor }) => (typeof k === "string" && typeof v === "string" ? [{ key: k, actor: Number(actor), note: v }] : []),
      );
      const ended = new Set(registers.map(({ key }) => key));
      const live = safely(() => liveHeads(db, null)).flatMap(({ session, actor, note }) =>
        ended.has(session) ? [] : [{ key: session, actor, note }],
      );
      return [...registers, ...live];
    },
    leftBehind: () => safely(() => leftBehind(db)),
    isPayload(id, hash) {
      const found = bodyOf(id);
      return found === null ? null : bodyHash(found.salt, found.body, crypto).toHex() === hash;
    },
    payload: (id) => bodyOf(id)?.body ?? null,
    salted: bodyOf,
    [Symbol.dispose]: () => close(db),
  };
}

const ID = /^[0-9a-f]{32}$/;
const PAYLOAD = "select b.salt as salt, b.body as body from entry e join entry_body b on b.n = e.n where e.id = ?";
