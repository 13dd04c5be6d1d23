import type { MessageId, SessionId } from "../lib/brand.ts";
import type { Message, Origin, Span } from "../lib/message.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { HeartFailure } from "../heart/failure.ts";
import type { Heart, HeartError, NewMessage } from "../heart/port.ts";
import type { TurnResult } from "../agent/turn.ts";
import type { SessionDeps } from "./deps.ts";
import type { SessionEvent, SessionSummary, ShownMessage } from "./event.ts";
import { labelOf } from "./labels.ts";
import { samePath, shownPath, titleOf } from "./shown.ts";
import type { ViewState } from "./view.ts";

const MAX_LISTED_SESSIONS = 1000;

/** The answer to keep: what was generated, and what is known of it. */
export type Answer = Pick<TurnResult, "spans" | "label" | "reply">;

/**
 * The conversation that is open, in the heart that holds it: the stick's, or one in memory for a private sitting. It gets its
 * id with its first message, so that a sitting without one leaves no trace.
 */
export class Conversation {
  readonly #deps: SessionDeps;
  readonly #origin: Origin;
  readonly #emit: (event: SessionEvent) => void;
  readonly #view: () => ViewState;
  readonly #unreadable: (error: HeartError) => void;
  #stick: Heart;
  #heart: Heart;
  #id: SessionId | null = null;
  #seen = -1;
  #unstored = 0;

  /** `unreadable` hears of a heart that could not be read; what is shown then stays as it was. */
  constructor(
    deps: SessionDeps,
    origin: Origin,
    emit: (event: SessionEvent) => void,
    view: () => ViewState,
    unreadable: (error: HeartError) => void,
  ) {
    this.#deps = deps;
    this.#origin = origin;
    this.#emit = emit;
    this.#view = view;
    this.#unreadable = unreadable;
    this.#stick = deps.heart;
    this.#heart = deps.heart;
  }

  get id(): SessionId | null {
    return this.#id;
  }

  /** The last message shown. */
  get leaf(): MessageId | null {
    return this.#view().path.at(-1)?.message.id ?? null;
  }

  openNew(ephemeral: boolean): void {
    this.#leave();
    this.#heart = ephemeral ? this.#deps.memoryHeart() : this.#stick;
    this.#open(null);
  }

  openExisting(session: SessionId): void {
    if (session === this.#id) return;
    this.#leave();
    this.#heart = this.#stick;
    this.#open(session);
  }

  /** Stores a person's message and shows it. */
  ask(parent: MessageId | null, spans: readonly Span[]): Result<Message, HeartError> {
    const stored = this.#append({
      parent,
      role: "user",
      spans,
      label: labelOf(spans, this.#deps.typedIntegrity?.()),
      origin: this.#origin,
      reply: null,
    });
    if (!stored.ok) return stored;
    if (parent === this.leaf) this.#emit({ type: "message-appended", shown: alone(stored.value) });
    else this.refresh();
    if (this.#view().path.length === 1) this.#name();
    return stored;
  }

  /** Shows the path up to a message alone, while another answer to it is on its way. */
  showUpTo(message: Message): void {
    const { path } = this.#view();
    const at = path.findIndex((entry) => entry.message.id === message.id);
    if (at >= 0 && at < path.length - 1) this.#emit({ type: "path-changed", path: path.slice(0, at + 1) });
  }

  /** Stores an answer. When that fails it is still shown: a person who watched it grow must not see it vanish. */
  keep(asked: Message, answer: Answer): { readonly shown: ShownMessage | null; readonly error: HeartError | null } {
    if (answer.spans.length === 0) return { shown: null, error: null };
    const row = { parent: asked.id, role: "assistant", ...answer, origin: "agent" } as const;
    const stored = this.#append(row);
    if (stored.ok) return { shown: alone(stored.value), error: null };
    const id = unstoredId(++this.#unstored);
    return { shown: alone({ ...row, id, session: asked.session, at: this.#deps.clock.now(), redacted: false }), error: stored.error };
  }

  /** Brings the shown path in line with the heart: takes and their places, other processes' messages, redactions. */
  refresh(): void {
    if (this.#id === null) return;
    const path = this.#path(this.#id);
    this.#seen = this.#heart.version();
    if (path && !samePath(path, this.#view().path)) this.#emit({ type: "path-changed", path });
  }

  refreshIfChanged(): void {
    if (this.#heart.version() !== this.#seen) this.refresh();
  }

  branch(message: MessageId): Result<void, HeartError> {
    if (this.#id === null) return err({ kind: "not-found", what: message });
    const shown = this.#heart.show(this.#id, message);
    if (shown.ok) this.refresh();
    return shown;
  }

  delete(session: SessionId): Result<number, HeartError> {
    const gone = this.#stick.deleteSession(session);
    if (!gone.ok) return gone;
    if (session === this.#id) this.#open(null);
    this.list();
    return ok(gone.value.forgotten);
  }

  /** Reports the stored conversations, newest first. */
  list(): void {
    const stored = this.#read(() => this.#stick.sessions(MAX_LISTED_SESSIONS));
    if (!stored) return;
    const sessions = stored.map(({ id, title, lastAt, messages }) => ({ id, title, at: lastAt, messages, ephemeral: false }));
    this.#emit({ type: "sessions-listed", sessions });
  }

  /** True when the heart is one that a pulled stick takes away. */
  get onStick(): boolean {
    return this.#stick.mode.kind === "stored";
  }

  /** After the stick came back. The heart with the same id, or an error. */
  reopen(): Result<void, HeartError> {
    const reopened = this.#deps.reopenHeart();
    if (!reopened.ok) return reopened;
    if (this.#heart === this.#stick) this.#heart = reopened.value;
    this.#stick = reopened.value;
    this.refresh();
    return ok(undefined);
  }

  /** A private conversation cannot be returned to once it is left: its heart goes with it. */
  #leave(): void {
    if (this.#heart !== this.#stick) this.#heart[Symbol.dispose]();
  }

  #open(session: SessionId | null): void {
    this.#id = session;
    const { mode } = this.#heart;
    const path = (session === null ? [] : this.#path(session)) ?? [];
    this.#seen = this.#heart.version();
    this.#emit({
      type: "session-opened",
      session: session === null ? null : this.#summary(session, path),
      path,
      store:
        mode.kind === "stored" ? { kind: "stored", warning: null, ...this.#first(session) } : { kind: "memory", warning: mode.warning },
    });
  }

  #first(session: SessionId | null): { readonly first?: true } {
    return session === null && this.#read(() => this.#heart.sessions(1).length) === 0 ? { first: true } : {};
  }

  #path(session: SessionId): readonly ShownMessage[] | null {
    return this.#read(() => shownPath(this.#heart.path(session)));
  }

  /** Reading a heart throws where its medium fails: the one place that turns this into a value again. */
  #read<T>(work: () => T): T | null {
    try {
      return work();
    } catch (failure) {
      if (!(failure instanceof HeartFailure)) throw failure;
      this.#unreadable(failure.error);
      return null;
    }
  }

  #append(row: Omit<NewMessage, "session">): Result<Message, HeartError> {
    if (this.#id === null) {
      const created = this.#heart.createSession();
      if (!created.ok) return created;
      this.#id = created.value;
    }
    return this.#heart.append({ ...row, session: this.#id });
  }

  #name(): void {
    if (this.#id !== null) this.#emit({ type: "session-named", session: this.#summary(this.#id, this.#view().path) });
  }

  #summary(id: SessionId, path: readonly ShownMessage[]): SessionSummary {
    const at = path.at(-1)?.message.at ?? this.#deps.clock.now();
    return { id, title: titleOf(path), at, messages: path.length, ephemeral: this.#heart !== this.#stick };
  }
}

const alone = (message: Message): ShownMessage => ({ message, take: 1, takes: 1, siblings: [message.id] });

/** Not the id of any stored message: those are 32 hex digits. */
const unstoredId = (count: number) => `unstored-${count}` as MessageId;
