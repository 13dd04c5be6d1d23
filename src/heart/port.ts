import type { MessageId, Millis, SessionId } from "../lib/brand.ts";
import type { Label } from "../lib/label.ts";
import type { Message, Origin, ReplyFacts, Role, Span } from "../lib/message.ts";
import type { Result } from "../lib/result.ts";

/**
 * An open heart. Synchronous: SQLite is, and a single acknowledged write is one short transaction.
 *
 * Methods that return a plain value throw `HeartFailure` (failure.ts), which carries a `HeartError`, when the medium fails or a page
 * is broken. After an `io` error every write fails with it until the heart is opened anew (`OpenHeart.reopen`).
 */
export interface Heart extends Disposable {
  readonly mode: HeartMode;
  createSession(): Result<SessionId, HeartError>;
  /** Commits before it returns: an acknowledged message survives kill -9. The new message becomes the session's shown leaf. */
  append(message: NewMessage): Result<Message, HeartError>;
  /** Root to leaf, as shown. */
  path(session: SessionId): readonly PathEntry[];
  /** Makes the newest leaf below `message` the shown one. */
  show(session: SessionId, message: MessageId): Result<void, HeartError>;
  /** Newest first. Sessions without messages are left out. */
  sessions(limit: number): readonly SessionOverview[];
  /** Every message of a session, siblings included, in HLC order. */
  messages(session: SessionId): readonly Message[];
  /** Resolves a full id or an unambiguous prefix of at least 4 hex digits. */
  findSession(prefix: string): Result<SessionId, HeartError>;
  newestSession(): SessionId | null;
  /** Forgets the bodies of all messages by redaction rows that no merge undoes. */
  deleteSession(session: SessionId): Result<{ readonly forgotten: number }, HeartError>;
  redact(message: MessageId): Result<void, HeartError>;
  /** Changes whenever this or another process committed; cheap enough to poll every second. */
  version(): number;
}

export type HeartMode =
  | { readonly kind: "stored" }
  /**
   * Nothing is written; `warning` is null when that was asked for, and else a sentence for a person: the stick is read-only, or
   * the keys are missing. History is then readable, and a conversation that goes on does so in memory. Forgetting what
   * lies on the stick is refused as `read-only`.
   */
  | { readonly kind: "memory"; readonly warning: string | null };

export interface NewMessage {
  readonly session: SessionId;
  readonly parent: MessageId | null;
  readonly role: Role;
  readonly spans: readonly Span[];
  readonly label: Label;
  readonly origin: Origin;
  readonly reply: ReplyFacts | null;
}

export interface PathEntry {
  readonly message: Message;
  /** Ids of all messages with the same parent, oldest first; includes this one. */
  readonly siblings: readonly MessageId[];
  /** The row or its text is not what was written: the message is shown empty, like a forgotten one. */
  readonly damaged?: boolean;
}

export interface SessionOverview {
  readonly id: SessionId;
  readonly title: string;
  readonly startedAt: Millis;
  readonly lastAt: Millis;
  readonly messages: number;
}

export type HeartError =
  /** Not a SQLite file, or damaged. */
  | { readonly kind: "damaged"; readonly path: string; readonly detail: string }
  /** Made under other keys than those in `keys/`. */
  | { readonly kind: "foreign"; readonly path: string }
  /** Written by a newer version. */
  | { readonly kind: "newer"; readonly path: string; readonly found: number; readonly known: number }
  /** Another copy, of a version that copies could not be merged at. Opening it once brings it up to date. */
  | { readonly kind: "outdated"; readonly path: string }
  /** Another copy, left in the middle of a write that only opening it for writing can undo. */
  | { readonly kind: "unfinished"; readonly path: string }
  /** A new file was to be made where one is. */
  | { readonly kind: "exists"; readonly path: string }
  /** Another copy, which is this one. */
  | { readonly kind: "same-file"; readonly path: string }
  /** `keys/` is missing. Opening a heart never yields it (see `HeartMode`); what needs the keys does. */
  | { readonly kind: "keys-missing"; readonly path: string }
  | { readonly kind: "keys-broken"; readonly path: string; readonly detail: string }
  /** The operating system refuses to read it. */
  | { readonly kind: "unreadable"; readonly path: string; readonly detail: string }
  /** Another process held it for longer than the busy time-out. */
  | { readonly kind: "locked"; readonly path: string }
  | { readonly kind: "full"; readonly path: string }
  /** The medium went away or fails. */
  | { readonly kind: "io"; readonly path: string; readonly detail: string }
  | { readonly kind: "read-only"; readonly path: string }
  /** No session or message of that id, or an ambiguous prefix. */
  | { readonly kind: "not-found"; readonly what: string }
  | { readonly kind: "ambiguous"; readonly prefix: string; readonly matches: number };
