import type { MessageId, SessionId } from "../lib/brand.ts";
import type { Message } from "../lib/message.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { heartErrorOf } from "./failure.ts";
import type { Found } from "./find.ts";
import type { Random } from "../lib/ports.ts";
import type { RowMac } from "./mac.ts";
import type { Heart, HeartError, HeartMode, NewMessage, PathEntry, SessionOverview } from "./port.ts";
import { heartParts, type HeartParts } from "./parts.ts";
import type { HeartCrypto } from "./ports.ts";
import { idBytes, type HeartReader } from "./reader.ts";
import type { HeartStore } from "./store.ts";

export interface OverlayOptions {
  /** The heart on the medium, opened read-only. */
  readonly base: HeartReader;
  /** Null where the keys are missing. */
  readonly trusted: RowMac | null;
  /** Where everything new goes. */
  readonly memory: HeartStore;
  readonly mode: HeartMode;
  readonly file: string;
  readonly crypto: HeartCrypto;
  readonly random: Random;
}

/**
 * A heart that can be read and not written. History is read from the medium; a conversation that goes on is first copied
 * into memory, whole, and lives there until the process ends. Memory is thus bounded by what a person goes on with, not
 * by what the stick holds. Rejected: copying the heart into memory (hundreds of megabytes in time), and one connection with
 * both attached (every statement would become a union).
 */
export class HeartOverlay implements Heart {
  readonly mode: HeartMode;
  /**
   * Tasks, memory and the rest as they lie on the medium; writing to them is refused, because a stick would seem to have kept them.
   * Only search also looks at what was said since, in memory.
   */
  readonly parts: HeartParts;
  readonly #base: HeartReader;
  readonly #trusted: RowMac | null;
  readonly #memory: HeartStore;
  readonly #file: string;
  readonly #adopted = new Set<SessionId>();
  #version = 0;
  #closed = false;

  constructor({ base, trusted, memory, mode, file, crypto, random }: OverlayOptions) {
    this.mode = mode;
    const below = heartParts({ db: base.db, mac: trusted, crypto, random, file, writing: null }, base);
    this.parts = { ...below, search: (query, limit) => this.#search(below, query, limit) };
    this.#base = base;
    this.#trusted = trusted;
    this.#memory = memory;
    this.#file = file;
  }

  createSession(): Result<SessionId, HeartError> {
    return this.#memory.createSession();
  }

  append(message: NewMessage): Result<Message, HeartError> {
    const here = this.#adopt(message.session);
    return here.ok ? this.#memory.append(message) : here;
  }

  show(session: SessionId, message: MessageId): Result<void, HeartError> {
    const here = this.#adopt(session);
    return here.ok ? this.#memory.show(session, message) : here;
  }

  path(session: SessionId): readonly PathEntry[] {
    return this.#side(session).path(session);
  }

  messages(session: SessionId): readonly Message[] {
    return this.#side(session).messages(session);
  }

  sessions(limit: number): readonly SessionOverview[] {
    // Those that were copied show their state in memory; so many more have to be asked for below.
    const below = this.#base.sessions(limit + this.#adopted.size).filter(({ id }) => !this.#adopted.has(id));
    return [...this.#memory.sessions(limit), ...below].sort((a, b) => b.lastAt - a.lastAt).slice(0, limit);
  }

  findSession(prefix: string): Result<SessionId, HeartError> {
    const matches = new Set([...this.#memory.reader.sessionsWithPrefix(prefix), ...this.#base.sessionsWithPrefix(prefix)]);
    const [first] = matches;
    if (first === undefined) return err({ kind: "not-found", what: prefix });
    return matches.size === 1 ? ok(first) : err({ kind: "ambiguous", prefix, matches: matches.size });
  }

  newestSession(): SessionId | null {
    return this.sessions(1)[0]?.id ?? null;
  }

  /** What lies on the medium cannot be forgotten here, and pretending would be worse than refusing. */
  deleteSession(session: SessionId): Result<{ readonly forgotten: number }, HeartError> {
    return this.#unless(
      () => this.#isBelow(session),
      () => this.#memory.deleteSession(session),
    );
  }

  redact(message: MessageId): Result<void, HeartError> {
    const id = idBytes(message);
    return this.#unless(
      () => id !== null && this.#base.snapshot(() => this.#base.db.get("select 1 from message where id = ?", id)) !== null,
      () => this.#memory.redact(message),
    );
  }

  version(): number {
    try {
      this.#version = this.#base.dataVersion() + this.#memory.version();
    } catch (error) {
      heartErrorOf(error, this.#file);
      // As for a stored heart: a medium that does not answer has nothing new to say.
    }
    return this.#version;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#memory[Symbol.dispose]();
    this.#base.db[Symbol.dispose]();
  }

  #search(below: HeartParts, query: string, limit: number): Found {
    const above = this.#memory.parts.search(query, limit);
    // A conversation that was copied is found in memory, where it goes on.
    const found = below.search(query, limit);
    const hits = found.hits.filter(({ session }) => session === null || !this.#adopted.has(session));
    return { hits: [...above.hits, ...hits].slice(0, limit), complete: above.complete && found.complete };
  }

  #side(session: SessionId): HeartReader {
    return this.#adopted.has(session) || !this.#isBelow(session) ? this.#memory.reader : this.#base;
  }

  #isBelow(session: SessionId): boolean {
    const key = idBytes(session);
    if (key === null) return false;
    return this.#base.snapshot(() => this.#base.db.get("select 1 from message where session = ? limit 1", key)) !== null;
  }

  #adopt(session: SessionId): Result<void, HeartError> {
    try {
      if (this.#adopted.has(session) || !this.#isBelow(session)) return ok(undefined);
    } catch (error) {
      return err(heartErrorOf(error, this.#file));
    }
    const taken = this.#memory.adopt(session, this.#base, this.#trusted);
    if (taken.ok) this.#adopted.add(session);
    return taken;
  }

  #unless<T>(below: () => boolean, work: () => Result<T, HeartError>): Result<T, HeartError> {
    try {
      return below() ? err({ kind: "read-only", path: this.#file }) : work();
    } catch (error) {
      return err(heartErrorOf(error, this.#file));
    }
  }
}
