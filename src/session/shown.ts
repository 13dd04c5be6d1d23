import { visibleText } from "../lib/message.ts";
import type { PathEntry } from "../heart/port.ts";
import type { ShownMessage } from "./event.ts";

export const shownPath = (path: readonly PathEntry[]): readonly ShownMessage[] =>
  path.map(({ message, siblings }) => ({
    message,
    take: Math.max(1, siblings.indexOf(message.id) + 1),
    takes: Math.max(1, siblings.length),
    siblings,
  }));

/** True when both show the same messages in the same places: messages never change, but for being redacted. */
export function samePath(a: readonly ShownMessage[], b: readonly ShownMessage[]): boolean {
  return (
    a.length === b.length &&
    a.every((entry, index) => {
      const other = b[index];
      return other?.message.id === entry.message.id && other.message.redacted === entry.message.redacted && other.takes === entry.takes;
    })
  );
}

const MAX_TITLE = 60;

/** The first words of the first message that a person wrote. */
export function titleOf(path: readonly ShownMessage[]): string {
  const first = path.find((entry) => entry.message.role === "user");
  const words = first ? visibleText(first.message.spans).replace(/\s+/gu, " ").trim() : "";
  return words.length <= MAX_TITLE ? words : `${words.slice(0, MAX_TITLE - 1).toWellFormed()}…`;
}
