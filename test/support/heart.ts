import { join } from "node:path";
import { type HeartPlace, openHeart, type OpenHeart } from "../../src/heart/open.ts";
import type { Heart, NewMessage } from "../../src/heart/port.ts";
import type { HeartDeps } from "../../src/heart/ports.ts";
import type { MessageId, Millis, SessionId } from "../../src/lib/brand.ts";
import type { Message } from "../../src/lib/message.ts";
import type { Result } from "../../src/lib/result.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { countStreams } from "../../src/heart/streams.ts";
import type { SqlDatabase } from "../../src/heart/sql.ts";

/** 2025-01-01: what tests take for the date of the build. */
export const BUILD = 1_735_689_600_000 as Millis;

export const placeIn = (folder: string) => ({ file: join(folder, "heart.sqlite"), keysDir: join(folder, "keys") }) satisfies HeartPlace;

export function must<T, E>(result: Result<T, E>): T {
  if (!result.ok) throw new Error(`not expected: ${JSON.stringify(result.error)}`);
  return result.value;
}

export const openIn = (folder: string, overrides: Partial<HeartDeps> = {}): OpenHeart =>
  must(openHeart(heartDeps(overrides), placeIn(folder), BUILD));

/** The kind of the error with which the heart in `folder` is refused; `null` when it opens. */
export function refusal(folder: string): string | null {
  const opened = openHeart(heartDeps(), placeIn(folder), BUILD);
  if (!opened.ok) return opened.error.kind;
  opened.value[Symbol.dispose]();
  return null;
}

export const draft = (session: SessionId, parent: MessageId | null, text: string, rest: Partial<NewMessage> = {}): NewMessage => ({
  session,
  parent,
  role: "user",
  spans: [{ kind: "typed", text }],
  label: { c: 1, k: ["heart"], i: 3, p: ["console"] },
  origin: "tui",
  reply: null,
  ...rest,
});

export const say = (heart: Heart, session: SessionId, parent: MessageId | null, text: string, rest: Partial<NewMessage> = {}): Message =>
  must(heart.append(draft(session, parent, text, rest)));

/** A conversation of `texts`, one after the other. */
export function talk(heart: Heart, ...texts: readonly string[]): { readonly session: SessionId; readonly messages: readonly Message[] } {
  const session = must(heart.createSession());
  const messages: Message[] = [];
  for (const text of texts) messages.push(say(heart, session, messages.at(-1)?.id ?? null, text));
  return { session, messages };
}

/** Leaves of a session of the log, each in a commit of its own, which nobody signs: to the heart they are texts. `session`: 16 bytes in hex. */
export function keepLog(heart: OpenHeart, session: string, texts: readonly string[], { from = 0, ends = false } = {}): void {
  const noteOf = (size: number): string => `log of ${session}\n${size}\n`;
  for (const [i, text] of texts.entries()) {
    const size = from + i + 1;
    const leaf = size === 1 ? `{"certificate":"${text}"}` : `{"text":"${text}"}`;
    const make = () => ({ leaves: [leaf], checkpoint: noteOf(size) });
    const isLast = ends && i === texts.length - 1;
    const written = must(heart.audit.append({ session, after: size === 1 ? null : noteOf(size - 1), payloads: [null], make, isLast }));
    if (written !== "written") throw new Error("the log went elsewhere");
  }
}

export const textOf = (message: Message): string => message.spans.map((span) => span.text).join("");
export const texts = (heart: Heart, session: SessionId): string[] => heart.path(session).map((entry) => textOf(entry.message));

/** The file as SQLite sees it, past all of the heart's care. */
export const raw = (folder: string): SqlDatabase => sqliteDriver.open(placeIn(folder).file, { create: false, readOnly: false });

/** Streams that do not hold the rows that the vector says they hold: what no write may ever leave behind. */
export function miscounted(folder: string): readonly string[] {
  using db = raw(folder);
  const counted = countStreams(db, "main");
  const known = db.all("select actor, held, total from vv");
  const wrong = known.flatMap(({ actor, held, total }) => {
    const found = counted.get(Number(actor)) ?? { rows: 0, total: 0 };
    counted.delete(Number(actor));
    const same = found.rows === held && found.total === total;
    return same ? [] : [`${String(actor)}: ${found.rows} rows of ${String(held)}, ${found.total} of ${String(total)}`];
  });
  return [...wrong, ...[...counted.keys()].map((actor) => `${actor}: not in the vector`)];
}
