import type { MessageId, SessionId } from "../lib/brand.ts";
import type { Message } from "../lib/message.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { heartErrorOf, HeartFailure, rollback } from "./failure.ts";
import { millisOf, type Hlc } from "./hlc.ts";
import type { RowMac } from "./mac.ts";
import type { HeartError, PathEntry, SessionOverview } from "./port.ts";
import type { HeartCrypto } from "./ports.ts";
import { CELL, isSealedCell, readMessage, SELECT_MESSAGE } from "./rows.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";
import { titleOf } from "./title.ts";
import { growTree, newestLeafBelow, pathTo, type Tree, type TreeNode } from "./tree.ts";

/** Matches counted for an ambiguous prefix; more are not told apart. */
const PREFIX_MATCHES = 100;

/** A message's place in its conversation. `n` is its local row number. */
export interface Place extends TreeNode {
  readonly n: number;
}

/** Everything that a heart answers without writing. Methods without a `Result` throw `HeartFailure`. */
export class HeartReader {
  readonly db: SqlDatabase;
  readonly file: string;
  readonly #mac: RowMac | null;
  readonly #crypto: HeartCrypto;

  constructor(db: SqlDatabase, path: string, mac: RowMac | null, crypto: HeartCrypto) {
    this.db = db;
    this.file = path;
    this.#mac = mac;
    this.#crypto = crypto;
  }

  path(session: SessionId): readonly PathEntry[] {
    const key = idBytes(session);
    if (key === null) return [];
    return this.snapshot(() => {
      const tree = this.tree(key);
      const leaf = this.#shownLeaf(tree, session);
      if (leaf === null) return [];
      return pathTo(tree, leaf).map((node) => {
        const { message, damaged } = this.#message(node.n);
        const siblings = (tree.children.get(node.parent) ?? [node]).map((sibling) => sibling.id as MessageId);
        return damaged ? { message, siblings, damaged } : { message, siblings };
      });
    });
  }

  messages(session: SessionId): readonly Message[] {
    const key = idBytes(session);
    if (key === null) return [];
    return this.snapshot(() => this.tree(key).nodes.map((node) => this.#message(node.n).message));
  }

  sessions(limit: number): readonly SessionOverview[] {
    return this.snapshot(() => this.db.all(RECENT_SESSIONS, limit).flatMap((row) => this.#overview(row)));
  }

  findSession(prefix: string): Result<SessionId, HeartError> {
    const matches = this.sessionsWithPrefix(prefix);
    const [first] = matches;
    if (first === undefined) return err({ kind: "not-found", what: prefix });
    return matches.length === 1 ? ok(first) : err({ kind: "ambiguous", prefix, matches: matches.length });
  }

  /** At most `PREFIX_MATCHES`. A prefix shorter than 4 digits matches nothing. */
  sessionsWithPrefix(prefix: string): readonly SessionId[] {
    const range = prefixRange(prefix);
    if (range === null) return [];
    const rows = this.snapshot(() => this.db.all(SESSIONS_BETWEEN, range.from, range.to, PREFIX_MATCHES));
    return rows.map((row) => row["session"]).flatMap((id): SessionId[] => (id instanceof Uint8Array ? [id.toHex() as SessionId] : []));
  }

  newestSession(): SessionId | null {
    return this.sessions(1)[0]?.id ?? null;
  }

  /** The message of a local row number; null when there is none. */
  messageAt(n: number): Message | null {
    const row = this.db.get(MESSAGE_BY_N, n);
    return row === null ? null : readMessage(row, this.#mac, this.#crypto).message;
  }

  /** The shape of a conversation, read from an index alone. */
  tree(session: Uint8Array): Tree<Place> {
    return growTree(this.db.all(SESSION_SHAPE, session).flatMap(toPlace));
  }

  /** Changes when another connection commits. */
  dataVersion(): number {
    return Number(this.db.get("pragma data_version")?.["data_version"] ?? 0);
  }

  /** Runs `work` on one state of the file, whatever other processes commit meanwhile. */
  snapshot<T>(work: () => T): T {
    try {
      this.db.exec("begin");
      const result = work();
      this.db.exec("commit");
      return result;
    } catch (error) {
      rollback(this.db);
      throw new HeartFailure(heartErrorOf(error, this.file));
    }
  }

  /**
   * What is shown is a last-writer-wins register that two things write: a person who picks a take (a cell), and whoever says something
   * (the message itself, by its own stamp: a cell beside it would say the same and cost flash with every message).
   * Where more was said below what was picked, the newest leaf there is shown.
   */
  #shownLeaf(tree: Tree<Place>, session: SessionId): Place | null {
    const newest = tree.nodes.at(-1);
    if (newest === undefined) return null;
    const cell = this.db.get(CELL, "leaf", session);
    const picked = cell !== null && Number(cell["hlc"]) > newest.hlc && isSealedCell(cell, this.#mac) ? cell["v"] : null;
    return (picked instanceof Uint8Array ? newestLeafBelow(tree, picked.toHex()) : null) ?? newest;
  }

  #message(n: number): { readonly message: Message; readonly damaged: boolean } {
    const row = this.db.get(MESSAGE_BY_N, n);
    // The index names a row that is not there.
    if (row === null) throw new HeartFailure({ kind: "damaged", path: this.file, detail: `message row ${n} is missing` });
    return readMessage(row, this.#mac, this.#crypto);
  }

  #overview(row: SqlRow): readonly SessionOverview[] {
    const { session, first_hlc, last_hlc, live } = row;
    if (!(session instanceof Uint8Array)) return [];
    const first = this.db.get(FIRST_USER_MESSAGE, session);
    return [
      {
        id: session.toHex() as SessionId,
        title: first === null ? "" : titleOf(readMessage(first, this.#mac, this.#crypto).message.spans),
        startedAt: millisOf(Number(first_hlc) as Hlc),
        lastAt: millisOf(Number(last_hlc) as Hlc),
        messages: Number(live),
      },
    ];
  }
}

/** Tests hold these against `explain query plan`: none may scan. */
export const RECENT_SESSIONS = `select session, first_hlc, last_hlc, live from session_overview
  where live > 0 order by last_hlc desc limit ?`;
export const SESSIONS_BETWEEN = "select session from session_overview where session between ? and ? and live > 0 limit ?";
export const SESSION_SHAPE = "select n, id, parent, hlc from message where session = ? order by hlc, id";
export const MESSAGE_BY_N = `${SELECT_MESSAGE} where m.n = ?`;
export const FIRST_USER_MESSAGE = `${SELECT_MESSAGE}
  where m.session = ? and m.role = 'user' and exists (select 1 from message_body b where b.n = m.n) order by m.hlc, m.id limit 1`;

/** `null` for what is not 32 hex digits: no row has it. */
export function idBytes(id: string): Uint8Array | null {
  return /^[0-9a-f]{32}$/.test(id) ? Uint8Array.fromHex(id) : null;
}

function prefixRange(prefix: string): { readonly from: Uint8Array; readonly to: Uint8Array } | null {
  const digits = prefix.toLowerCase();
  if (!/^[0-9a-f]{4,32}$/.test(digits)) return null;
  return { from: Uint8Array.fromHex(digits.padEnd(32, "0")), to: Uint8Array.fromHex(digits.padEnd(32, "f")) };
}

function toPlace(row: SqlRow): readonly Place[] {
  const { n, id, parent, hlc } = row;
  if (!isNumber(n) || !(id instanceof Uint8Array) || !isNumber(hlc)) return [];
  return [{ n, id: id.toHex(), parent: parent instanceof Uint8Array ? parent.toHex() : null, hlc }];
}

const isNumber = (value: SqlValue | undefined): value is number => typeof value === "number";
