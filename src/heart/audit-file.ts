import { err, ok, type Result } from "../lib/result.ts";
import { heartErrorOf, HeartFailure, rollback } from "./failure.ts";
import { leavesIn } from "./leaf-groups.ts";
import type { HeartError } from "./port.ts";
import type { HeartDeps } from "./ports.ts";
import { isExactSchema, READ_ONLY_PRAGMAS } from "./schema.ts";
import type { SqlDatabase, SqlRow } from "./sql.ts";
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
  /** The newest by their stamps, by the index: for a look, not for a judgement. */
  recent(limit: number): readonly LeafRow[];
  /** Signed notes by their keys; a key is a session, or a session and something that tells a second version. */
  checkpoints(): readonly { readonly key: string; readonly actor: number; readonly note: string }[];
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

/** In canonical form a beginning, and nothing else, has its certificate first. */
const LEAVES = `select e.n as n, e.ref as ref, e.actor as actor, b.body as body
  from entry e not indexed cross join entry_body b not indexed on b.n = e.n where e.kind = 'audit'`;
const BEGINNINGS = `${LEAVES} and substr(b.body, 1, 15) = '{"certificate":'`;
const RECENT = `select e.ref as ref, e.actor as actor, b.body as body from entry e indexed by entry_kind cross join entry_body b on b.n = e.n
  where e.kind = 'audit' order by e.hlc desc, e.id desc limit ?`;
const OF_SESSION = `${LEAVES} and e.ref = ?`;
const INDEXED = `select b.body as body from cell c cross join entry e indexed by entry_dot on e.actor = c.actor cross join entry_body b on b.n = e.n
  where c.ns = '${Namespace.AUDIT}' and c.k = ? and e.kind = 'audit' and e.ref = ? order by e.seq`;

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
  /** A row holds one leaf or several. */
  const leavesOf = ({ ref, actor, body }: SqlRow): readonly LeafRow[] => {
    if (!(ref instanceof Uint8Array) || typeof body !== "string") return [];
    const session = ref.toHex();
    return leavesIn(body).map((leaf) => ({ session, actor: Number(actor), leaf }));
  };
  const bodyOf = (id: string): SaltedText | null => {
    const { salt, body } = (ID.test(id) ? safely(() => db.get(PAYLOAD, Uint8Array.fromHex(id))) : null) ?? {};
    return salt instanceof Uint8Array && typeof body === "string" ? { salt, body } : null;
  };
  return {
    heart,
    rows: Number(safely(() => db.get("select max(n) as n from entry"))?.["n"] ?? 0),
    each: (visit) =>
      safely(() =>
        db.each(LEAVES, (row) => {
          for (const leaf of leavesOf(row)) visit(leaf, Number(row["n"]));
        }),
      ),
    beginnings: (visit) =>
      safely(() =>
        db.each(BEGINNINGS, (row) => {
          for (const leaf of leavesOf(row).slice(0, 1)) visit(leaf);
        }),
      ),
    session(session) {
      const rows: LeafRow[] = [];
      safely(() => db.each(OF_SESSION, (row) => leavesOf(row).forEach((leaf) => rows.push(leaf)), Uint8Array.fromHex(session)));
      return rows;
    },
    leavesOf: (session) =>
      safely(() => db.all(INDEXED, session, Uint8Array.fromHex(session))).flatMap(({ body }) =>
        typeof body === "string" ? leavesIn(body) : [],
      ),
    recent: (limit) =>
      safely(() => db.all(RECENT, limit))
        .flatMap((row) => leavesOf(row).toReversed())
        .slice(0, limit),
    checkpoints: () =>
      safely(() => db.all("select k, v, actor from cell where ns = ? and v is not null", Namespace.AUDIT)).flatMap(({ k, v, actor }) =>
        typeof k === "string" && typeof v === "string" ? [{ key: k, actor: Number(actor), note: v }] : [],
      ),
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
