/** A log of a few sessions, and a thief who holds the heart's key and the stick's: every row that he writes is sealed and counted as if it were ours. */
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ReadAnchor, readAnchors, writeAnchor } from "../../src/audit/anchor.ts";
import { checkLog } from "../../src/audit/check.ts";
import { type AuditEntry, certificateText, entryText, originOf, parseEntry } from "../../src/audit/entry.ts";
import { type AuditCrypto, type AuditLog, auditLog, type SigningKey } from "../../src/audit/log.ts";
import { Frontier, leafHash } from "../../src/audit/merkle.ts";
import { checkpointText, signNote } from "../../src/audit/note.ts";
import { judgeLog, type Judgement, type Outside } from "../../src/audit/verdict.ts";
import { openAuditFile } from "../../src/heart/audit-file.ts";
import { KEY_FILE, KEY_FILE_LIMIT, readKeyFile } from "../../src/heart/key-file.ts";
import { type RowMac, rowMac } from "../../src/heart/mac.ts";
import { headKey, headText, type LiveHead, parseHead } from "../../src/heart/live-heads.ts";
import { writeMeta } from "../../src/heart/meta.ts";
import type { OpenHeart } from "../../src/heart/open.ts";
import { bodyHash } from "../../src/heart/rows.ts";
import type { SqlDatabase, SqlValue } from "../../src/heart/sql.ts";
import { rebuildStreams } from "../../src/heart/streams.ts";
import { CELL, ENTRY, LEAF, type MergedTable } from "../../src/heart/tables.ts";
import { auditCrypto, stickKey } from "../../src/platform/audit-crypto.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { must, openIn, placeIn, raw } from "./heart.ts";

export const utf8 = new TextEncoder();
export const { sha256 } = auditCrypto;
export const LABEL = { c: 1, k: [], i: 3, p: [] } as const;

/** A log whose session keys the test keeps. */
export function logIn(folder: string, heart: OpenHeart, keys: Map<string, SigningKey> = new Map(), stick?: SigningKey): AuditLog {
  const made: SigningKey[] = [];
  const crypto: AuditCrypto = {
    ...auditCrypto,
    ephemeral: () => {
      const key = auditCrypto.ephemeral();
      made.push(key);
      return key;
    },
  };
  const log = auditLog({
    heart: heart.audit,
    heartId: heart.id,
    crypto,
    random: heartDeps().random,
    stick: () => (stick === undefined ? stickKey(placeIn(folder).keysDir, heart.id) : { ok: true, value: stick }),
  });
  return new Proxy(log, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(value as (...given: unknown[]) => unknown, target, args);
        const key = made.at(-1);
        if (target.session !== null && key !== undefined) keys.set(target.session, key);
        return result;
      };
    },
  });
}

export function intent(log: AuditLog, object: string, decision: "allow" | "deny" = "allow") {
  return must(
    log.intent(
      {
        subject: "file_ops",
        operation: "read",
        object,
        label: { ...LABEL, k: [], p: [] },
        decision,
        rule: "default",
        policy: "p",
        effect: "0".repeat(64),
        severity: 0,
      },
      `read ${object}`,
    ),
  );
}

/** One session of a few calls; ends in order. */
export function sitting(folder: string, keys: Map<string, SigningKey>, calls: number, name: string): string {
  using heart = openIn(folder);
  const log = logIn(folder, heart, keys);
  let session = "";
  for (let i = 0; i < calls; i++) {
    const of = intent(log, `${name}${i}`);
    session = of.session;
    must(log.outcome({ of, status: "done", detail: "" }, `text of ${name}${i}`, LABEL));
  }
  must(log.end("done"));
  return session;
}

export interface Stage {
  readonly folder: string;
  readonly heart: string;
  readonly keys: ReadonlyMap<string, SigningKey>;
  /** In order; the anchor was taken after the third. */
  readonly sessions: readonly [string, string, string, string];
  readonly anchor: ReadAnchor;
  /** The file as it was after the second session. */
  readonly old: string;
}

export function stageIn(folder: string): Stage {
  const keys = new Map<string, SigningKey>();
  const a = sitting(folder, keys, 3, "a");
  const b = sitting(folder, keys, 2, "b");
  const old = join(folder, "old.sqlite");
  copyFileSync(placeIn(folder).file, old);
  const c = sitting(folder, keys, 3, "c");
  const anchor = anchorOf(folder);
  const d = sitting(folder, keys, 2, "d");
  using heart = openIn(folder);
  return { folder, heart: heart.id, keys, sessions: [a, b, c, d], anchor, old };
}

export function anchorOf(folder: string, time = 1_800_000_000): ReadAnchor {
  using file = must(openAuditFile(heartDeps(), placeIn(folder).file));
  const { heart, heads, sticks } = checkLog(file, { anchors: [], claims: [], onProgress: () => undefined }, auditCrypto);
  const [anchor] = must(readAnchors(writeAnchor({ heart, time, heads, sticks }, null, sha256), auditCrypto));
  if (anchor === undefined) throw new Error("no anchor");
  return anchor;
}

export function judged(folder: string, outside: Partial<Outside> = {}): Judgement {
  using file = must(openAuditFile(heartDeps(), placeIn(folder).file));
  return judgeLog(file, { anchors: [], parentKey: null, against: null, onProgress: () => undefined, ...outside }, auditCrypto);
}

interface Row {
  readonly n: number;
  readonly leaf: string;
  readonly entry: AuditEntry;
}
type Changes = Readonly<Record<string, unknown>>;

/** Works on a copy of the stage's heart. Disposing it seals and counts everything anew, as its owner would have. */
export class Thief implements Disposable {
  readonly db: SqlDatabase;
  readonly stage: Stage;
  readonly stick: SigningKey;
  readonly folder: string;
  mac: RowMac;
  readonly #crypto = heartDeps().crypto;

  constructor(stage: Stage, folder: string, from = placeIn(stage.folder).file) {
    this.stage = stage;
    this.folder = folder;
    mkdirSync(placeIn(folder).keysDir, { recursive: true });
    copyFileSync(from, placeIn(folder).file);
    for (const name of [KEY_FILE, "stick.json"])
      copyFileSync(join(placeIn(stage.folder).keysDir, name), join(placeIn(folder).keysDir, name));
    this.db = raw(folder);
    // Nobody needs what he does to survive a power cut.
    this.db.exec("pragma synchronous = off; begin");
    const bytes = readFileSync(join(placeIn(folder).keysDir, KEY_FILE));
    if (bytes.length > KEY_FILE_LIMIT) throw new Error("no key");
    this.mac = rowMac(this.#crypto, must(readKeyFile(bytes, this.#crypto)).key);
    this.stick = must(stickKey(placeIn(folder).keysDir, stage.heart));
  }

  rows(session: string): Row[] {
    return this.db
      .all("select n, leaves as leaf from leaf where session = ? order by n", Uint8Array.fromHex(session))
      .flatMap(({ n, leaf }) => {
        const entry = parseEntry(String(leaf));
        return entry === null ? [] : [{ n: Number(n), leaf: String(leaf), entry }];
      });
  }

  row(session: string, seq: number): Row {
    const found = this.rows(session).find(({ entry }) => entry.seq === seq);
    if (found === undefined) throw new Error(`no entry ${seq}`);
    return found;
  }

  setText(n: number, body: string): void {
    this.db.run("update leaf set leaves = ? where n = ?", body, n);
  }

  edit(session: string, seq: number, changes: Changes): void {
    const { n, entry } = this.row(session, seq);
    this.setText(n, entryText({ ...entry, ...changes }));
  }

  remove(session: string, seq: number): void {
    const { n } = this.row(session, seq);
    this.db.run("delete from leaf where n = ?", n);
  }

  /** As another row of the same writing session. */
  insert(session: string, leaf: string, actor = this.actor(session)): void {
    this.db.run(
      "insert into leaf (session, hlc, actor, seq, leaves, mac) values (?, 1, ?, ?, ?, zeroblob(16))",
      Uint8Array.fromHex(session),
      actor,
      this.#next(actor),
      leaf,
    );
  }

  /** What lies apart from an entry. */
  insertPayload(session: string, body: string, actor: number, id: Uint8Array, salt: Uint8Array): void {
    const { n } =
      this.db.get(
        `insert into entry (id, kind, ref, hlc, actor, seq, label_c, label_k, label_i, label_p, body_hash, mac)
        values (?, 'skill', ?, 1, ?, ?, 0, '[]', 3, '[]', zeroblob(32), zeroblob(16)) returning n`,
        id,
        Uint8Array.fromHex(session),
        actor,
        this.#next(actor),
      ) ?? {};
    this.db.run("insert into entry_body (n, salt, body) values (?, ?, ?)", n ?? null, salt, body);
  }

  #next(actor: number): number {
    const seq = Number(this.db.get("select max(seq) as seq from vv where actor = ?", actor)?.["seq"] ?? 0) + 1;
    this.db.run(
      "insert into vv (actor, seq, mac) values (?, ?, zeroblob(16)) on conflict (actor) do update set seq = excluded.seq",
      actor,
      seq,
    );
    return seq;
  }

  actor(session: string): number {
    return Number(this.db.get("select actor from leaf where session = ? limit 1", Uint8Array.fromHex(session))?.["actor"] ?? 1);
  }

  note(session: string): string {
    const ended = this.db.get("select v from cell where ns = 'audit' and k = ?", session)?.["v"];
    return typeof ended === "string" ? ended : (this.head(session)?.note ?? "");
  }

  /** Of a session that has not ended. */
  head(session: string): LiveHead | null {
    return parseHead(this.db.get("select v from meta where k = ?", headKey(session))?.["v"]);
  }

  setHead(session: string, head: LiveHead | null): void {
    if (head === null) this.db.run("delete from meta where k = ?", headKey(session));
    else writeMeta(this.db, this.mac, [headKey(session), headText(head)]);
  }

  setNote(session: string, note: string | null): void {
    const head = this.head(session);
    if (head !== null) this.setHead(session, note === null ? null : { ...head, note });
    else if (note === null) this.db.run("delete from cell where ns = 'audit' and k = ?", session);
    else if (this.db.run("update cell set v = ? where ns = 'audit' and k = ?", note, session).changes === 0) {
      const actor = this.actor(session.slice(0, 32));
      this.db.run(
        "insert into cell values ('audit', ?, ?, 1, ?, ?, 0, '[]', 3, '[]', zeroblob(16))",
        session,
        note,
        actor,
        this.#next(actor),
      );
    }
  }

  removeSession(session: string): void {
    for (const { entry } of this.rows(session)) this.remove(session, entry.seq);
    this.setNote(session, null);
  }

  sign(session: string, key: SigningKey, leaves = this.rows(session).map(({ leaf }) => leaf)): string {
    const frontier = new Frontier(sha256);
    for (const leaf of leaves) frontier.push(leafHash(sha256, utf8.encode(leaf)));
    const name = originOf(this.stage.heart, session);
    return signNote(
      checkpointText({ origin: name, size: frontier.size, root: frontier.root() }),
      { name, publicKey: key.publicKey },
      key.sign,
      sha256,
    );
  }

  resign(session: string, key: SigningKey): void {
    this.setNote(session, this.sign(session, key));
  }

  /** What only the stick's key can do: another key for an old session. */
  certify(session: string, key: SigningKey, stick = this.stick): Changes {
    const text = certificateText({ heart: this.stage.heart, session, key: key.publicKey.toHex() });
    return { key: key.publicKey.toHex(), stick: stick.publicKey.toHex(), certificate: stick.sign(utf8.encode(text)).toHex() };
  }

  /** The session anew under a key of the thief's own, with what `change` makes of its entries. */
  replace(session: string, change: () => void, stick = this.stick): void {
    const key = auditCrypto.ephemeral();
    this.edit(session, 0, this.certify(session, key, stick));
    change();
    this.resign(session, key);
  }

  /** Written by the program itself, with what he has. */
  addSession(name: string, stick?: SigningKey): string {
    this.settle();
    this.db.exec("commit");
    const session = this.#sit(name, stick);
    this.db.exec("begin");
    return session;
  }

  #sit(name: string, stick?: SigningKey): string {
    using heart = openIn(this.folder);
    const log = logIn(this.folder, heart, new Map(), stick);
    const of = intent(log, name);
    must(log.outcome({ of, status: "done", detail: "" }, "", LABEL));
    must(log.end("done"));
    return of.session;
  }

  /** Seals every row and counts every stream. */
  settle(): void {
    const seal = (table: MergedTable, key: string): void => {
      const where = table === CELL ? "ns = 'audit' and k = ?" : "n = ?";
      for (const row of this.db.all(
        `select ${[key, ...table.columns].join(", ")} from ${table.name} ${table === CELL ? "where ns = 'audit'" : ""}`,
      ))
        this.db.run(
          `update ${table.name} set mac = ? where ${where}`,
          this.mac.seal(
            table.name,
            table.columns.map((column) => row[column] ?? null),
          ),
          row[key] as SqlValue,
        );
    };
    for (const { n, salt, body } of this.db.all("select n, salt, body from entry_body"))
      if (salt instanceof Uint8Array)
        this.db.run("update entry set body_hash = ? where n = ?", bodyHash(salt, String(body), this.#crypto), n ?? null);
    seal(ENTRY, "n");
    seal(LEAF, "n");
    seal(CELL, "k");
    rebuildStreams(this.db, this.mac);
  }

  [Symbol.dispose](): void {
    this.settle();
    this.db.exec("commit");
    this.db[Symbol.dispose]();
  }
}
