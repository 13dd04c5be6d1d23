import type { MessageId, SessionId } from "../lib/brand.ts";
import type { Message } from "../lib/message.ts";
import { BOTTOM } from "../lib/label.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { heartErrorOf, rollback } from "./failure.ts";
import { millisOf, type Hlc } from "./hlc.ts";
import type { RowMac } from "./mac.ts";
import type { Heart, HeartError, HeartMode, NewMessage, PathEntry, SessionOverview } from "./port.ts";
import type { HeartCrypto } from "./ports.ts";
import { HeartReader, idBytes } from "./reader.ts";
import {
  bodyHash,
  CELL,
  cellColumns,
  isSealedCell,
  labelColumns,
  MESSAGE_COLUMNS,
  plainReply,
  readMessage,
  sealedColumns,
  SELECT_MESSAGE,
  sortedSet,
  wellFormedSpans,
  writeBody,
  writeReply,
} from "./rows.ts";
import { heartParts, type HeartParts } from "./parts.ts";
import { unindex } from "./search.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";
import { newestLeafBelow } from "./tree.ts";
import { WritingSession, type Stamps, type WriterEnvironment } from "./writer.ts";

export interface StoreOptions {
  readonly db: SqlDatabase;
  readonly mode: HeartMode;
  readonly crypto: HeartCrypto;
  readonly env: WriterEnvironment;
}

/** A heart that is written where it is read: a file on the stick, or memory when that was asked for. */
export class HeartStore implements Heart {
  readonly mode: HeartMode;
  readonly reader: HeartReader;
  readonly parts: HeartParts;
  readonly #db: SqlDatabase;
  readonly #mac: RowMac;
  readonly #crypto: HeartCrypto;
  readonly #env: WriterEnvironment;
  readonly #writing: WritingSession;
  #version = 0;
  #closed = false;

  constructor({ db, mode, crypto, env }: StoreOptions) {
    this.mode = mode;
    this.reader = new HeartReader(db, env.file, env.mac, crypto);
    this.#db = db;
    this.#mac = env.mac;
    this.#crypto = crypto;
    this.#env = env;
    this.#writing = new WritingSession(db, env);
    const { file, mac, random } = env;
    this.parts = heartParts({ db, mac, crypto, random, file, writing: this.#writing }, this.reader);
  }

  /** Only an id: a conversation is in the heart once something was said in it. */
  createSession(): Result<SessionId, HeartError> {
    return ok(this.#env.random.bytes(16).toHex() as SessionId);
  }

  append(draft: NewMessage): Result<Message, HeartError> {
    const session = idBytes(draft.session);
    if (session === null) return err({ kind: "not-found", what: draft.session });
    // Everything that is pure or slow happens before the lock is taken.
    const message = this.#normalise(draft);
    const body = writeBody(message.spans);
    const reply = writeReply(message.reply);
    const salt = this.#env.random.bytes(16);
    const hash = bodyHash(salt, body, this.#crypto);

    return this.#writing.transact((stamps) => {
      const parent = this.#parentOf(message);
      if (!parent.ok) return parent;
      const id = Uint8Array.fromHex(message.id);
      const hlc = stamps.stamp(this.#newestIn(session, message.session));
      const columns: SqlValue[] = [
        id,
        session,
        parent.value,
        hlc,
        stamps.actor,
        stamps.seq(),
        message.role,
        message.origin,
        ...labelColumns(message.label),
        reply,
        hash,
      ];
      this.#db.run(INSERT_MESSAGE, ...columns, this.#mac.seal("message", columns));
      this.#db.run(INSERT_BODY, salt, body);
      this.#db.run(COUNT_MESSAGE, session, hlc, hlc, 1);
      return ok({ ...message, at: millisOf(hlc) });
    });
  }

  show(session: SessionId, message: MessageId): Result<void, HeartError> {
    const key = idBytes(session);
    if (key === null) return err({ kind: "not-found", what: session });
    return this.#writing.transact((stamps) => {
      const leaf = newestLeafBelow(this.reader.tree(key), message);
      if (leaf === null) return err({ kind: "not-found", what: message });
      const hlc = stamps.stamp(this.#newestIn(key, session));
      const value = Uint8Array.fromHex(leaf.id);
      stamps.replaced(this.#db.get("select actor, seq from cell where ns = 'leaf' and k = ?", session));
      this.#putCell(["leaf", session, value, hlc, stamps.actor, stamps.seq(), ...labelColumns(BOTTOM)]);
      return ok(undefined);
    });
  }

  redact(message: MessageId): Result<void, HeartError> {
    const id = idBytes(message);
    if (id === null) return err({ kind: "not-found", what: message });
    return this.#writing.transact((stamps) => {
      const row = this.#db.get("select n, id, session, hlc from message where id = ?", id);
      if (row === null) return err({ kind: "not-found", what: message });
      this.#forget(stamps, [row]);
      return ok(undefined);
    });
  }

  deleteSession(session: SessionId): Result<{ readonly forgotten: number }, HeartError> {
    const key = idBytes(session);
    if (key === null) return err({ kind: "not-found", what: session });
    return this.#writing.transact((stamps) => {
      const rows = this.#db.all("select n, id, session, hlc from message where session = ? order by hlc, id", key);
      if (rows.length === 0) return err({ kind: "not-found", what: session });
      return ok({ forgotten: this.#forget(stamps, rows) });
    });
  }

  path(session: SessionId): readonly PathEntry[] {
    return this.reader.path(session);
  }

  messages(session: SessionId): readonly Message[] {
    return this.reader.messages(session);
  }

  sessions(limit: number): readonly SessionOverview[] {
    return this.reader.sessions(limit);
  }

  findSession(prefix: string): Result<SessionId, HeartError> {
    return this.reader.findSession(prefix);
  }

  newestSession(): SessionId | null {
    return this.reader.newestSession();
  }

  /** Both terms only grow, so the sum changes whenever one does. A medium that does not answer has nothing new to say. */
  version(): number {
    try {
      this.#version = this.reader.dataVersion() + this.#writing.commits;
    } catch (error) {
      heartErrorOf(error, this.#env.file);
    }
    return this.#version;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#db[Symbol.dispose]();
  }

  /**
   * Takes over a conversation from a heart that cannot be written, so that it can go on here. Rows that were believed there
   * are sealed anew under this heart's key; a damaged one keeps its seal, which is not ours, and stays damaged.
   */
  adopt(session: SessionId, from: HeartReader, trusted: RowMac | null): Result<void, HeartError> {
    const key = idBytes(session);
    if (key === null) return err({ kind: "not-found", what: session });
    try {
      const { rows, leaf } = from.snapshot(() => ({
        rows: from.db.all(`${SELECT_MESSAGE} where m.session = ? order by m.hlc, m.id`, key),
        leaf: from.db.get(CELL, "leaf", session),
      }));
      this.#db.exec("begin immediate");
      for (const row of rows) this.#takeOver(row, trusted);
      if (leaf !== null && isSealedCell(leaf, trusted)) this.#putCell(cellColumns(leaf));
      this.#db.exec("commit");
      return ok(undefined);
    } catch (error) {
      rollback(this.#db);
      return err(heartErrorOf(error, this.#env.file));
    }
  }

  #takeOver(row: SqlRow, trusted: RowMac | null): void {
    const columns = sealedColumns(row);
    const sound = !readMessage(row, trusted, this.#crypto).damaged;
    const mac = sound ? this.#mac.seal("message", columns) : (row["mac"] ?? null);
    this.#db.run(INSERT_MESSAGE, ...columns, mac);
    const { salt, body, session, hlc, forgotten } = row;
    if (forgotten !== 0) {
      const columns: SqlValue[] = [row["id"] ?? null, hlc ?? 0, row["actor"] ?? 1, row["seq"] ?? 1];
      this.#db.run(INSERT_REDACTION, ...columns, this.#mac.seal("redaction", columns));
    } else if (salt !== null && body !== null) {
      this.#db.run(INSERT_BODY, salt ?? null, body ?? null);
    }
    this.#db.run(COUNT_MESSAGE, session ?? null, hlc ?? 0, hlc ?? 0, forgotten === 0 && body !== null ? 1 : 0);
  }

  #normalise(draft: NewMessage): Message {
    return {
      id: this.#env.random.bytes(16).toHex() as MessageId,
      session: draft.session,
      parent: draft.parent,
      role: draft.role,
      spans: wellFormedSpans(draft.spans),
      label: { ...draft.label, k: sortedSet(draft.label.k), p: sortedSet(draft.label.p) },
      origin: draft.origin,
      at: millisOf(0 as Hlc),
      reply: draft.reply === null ? null : plainReply(draft.reply),
      redacted: false,
    };
  }

  /** Where the new message hangs. A parent in another conversation is none. */
  #parentOf({ session, parent }: Message): Result<Uint8Array | null, HeartError> {
    if (parent === null) return ok(null);
    const id = idBytes(parent);
    const home = id === null ? null : this.#db.get("select session from message where id = ?", id)?.["session"];
    if (!(home instanceof Uint8Array) || home.toHex() !== session) return err({ kind: "not-found", what: parent });
    return ok(id);
  }

  /** The newest stamp in a conversation, of a message or of the choice of what is shown: what the next one has to beat. */
  #newestIn(key: Uint8Array, session: SessionId): Hlc | 0 {
    const said = this.#db.get("select last_hlc from session_overview where session = ?", key)?.["last_hlc"] ?? 0;
    const chosen = this.#db.get("select hlc from cell where ns = 'leaf' and k = ?", session)?.["hlc"] ?? 0;
    return Math.max(Number(said), Number(chosen)) as Hlc | 0;
  }

  /** Returns how many there still were to forget. */
  #forget(stamps: Stamps, rows: readonly SqlRow[]): number {
    const known = rows.filter(({ id }) => this.#db.get("select 1 from redaction where target = ? limit 1", id ?? null) === null);
    unindex(
      this.#db,
      known.map(({ n }) => Number(n)),
    );
    for (const { n, id, session, hlc } of known) {
      const columns: SqlValue[] = [id ?? null, stamps.stamp(Number(hlc) as Hlc), stamps.actor, stamps.seq()];
      this.#db.run(INSERT_REDACTION, ...columns, this.#mac.seal("redaction", columns));
      this.#db.run("delete from message_body where n = ?", n ?? null);
      this.#db.run("update session_overview set live = max(live - 1, 0) where session = ?", session ?? null);
    }
    return known.length;
  }

  #putCell(columns: readonly SqlValue[]): void {
    this.#db.run(PUT_CELL, ...columns, this.#mac.seal("cell", columns));
  }
}

const INSERT_MESSAGE = `insert into message (${MESSAGE_COLUMNS.join(", ")}, mac)
  values (${MESSAGE_COLUMNS.map(() => "?").join(", ")}, ?)`;
/** Beside the row that was just inserted; `returning` its number costs more than all else of it (measured in Bun). */
const INSERT_BODY = "insert into message_body (n, salt, body) values (last_insert_rowid(), ?, ?)";
const COUNT_MESSAGE = `insert into session_overview (session, first_hlc, last_hlc, live) values (?, ?, ?, ?)
  on conflict (session) do update set
    first_hlc = min(first_hlc, excluded.first_hlc), last_hlc = max(last_hlc, excluded.last_hlc), live = live + excluded.live`;
const INSERT_REDACTION = "insert into redaction (target, hlc, actor, seq, mac) values (?, ?, ?, ?, ?)";
const PUT_CELL = `insert into cell (ns, k, v, hlc, actor, seq, label_c, label_k, label_i, label_p, mac)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (ns, k) do update set v = excluded.v, hlc = excluded.hlc, actor = excluded.actor, seq = excluded.seq,
    label_c = excluded.label_c, label_k = excluded.label_k, label_i = excluded.label_i, label_p = excluded.label_p, mac = excluded.mac`;
