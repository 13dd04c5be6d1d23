import { Integrity, type Label } from "../../lib/label.ts";
import type { Argument } from "../types.ts";

/** An entity that the person typed, with its type: what a control argument may be compared with. */
export interface TypedLiteral {
  readonly type: "path" | "url" | "host" | "number" | "word" | "quoted";
  readonly value: string;
}

/** Entities are looked for in this much of a message; more is not what a person typed by hand. */
const MOST_TEXT = 20_000;
const MOST_LITERALS = 500;

/**
 * The literals in the person's own words: quoted strings, addresses, paths, numbers and single words.
 *
 * An argument that equals one of them, value for value, was chosen by the person even when a tainted model repeats it. Substrings never count:
 * "13" is in "June 13", and `/etc` in `/etc/passwd`.
 */
export function literalsOf(typed: string): readonly TypedLiteral[] {
  const text = typed.slice(0, MOST_TEXT);
  const found: TypedLiteral[] = [];
  const add = (literal: TypedLiteral): void => {
    if (found.length < MOST_LITERALS && literal.value !== "") found.push(literal);
  };
  for (const [, double, single, back] of text.matchAll(/"([^"\n]{1,1000})"|'([^'\n]{1,1000})'|`([^`\n]{1,1000})`/gu)) {
    add({ type: "quoted", value: double ?? single ?? back ?? "" });
  }
  for (const raw of text.split(/\s+/u)) {
    const token = raw.replace(/^["'`(<[{]+|["'`)>\]},;:!?]+$/gu, "").replace(/(?<=[\p{L}\p{N}])\.$/u, "");
    if (/^https?:\/\/\S+$/iu.test(token)) {
      add({ type: "url", value: token });
      const host = hostOf(token);
      if (host !== null) add({ type: "host", value: host });
    } else if (/^[+-]?\d+(?:\.\d+)?$/u.test(token)) add({ type: "number", value: token });
    else if (/[/\\]|^\.|^~/u.test(token) || /^[\w-]+\.[a-z0-9]{1,8}$/iu.test(token)) {
      add({ type: "path", value: token });
      if (/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/iu.test(token)) add({ type: "host", value: token.toLowerCase() });
    } else add({ type: "word", value: token });
  }
  return found;
}

/**
 * Lifts a control argument to the person's own integrity when its value is one of their literals, of a type that this argument takes.
 * Only this argument, and only this value: the label of everything else stays as it was.
 */
export function endorse(argument: Argument, accepts: readonly TypedLiteral["type"][], literals: readonly TypedLiteral[]): Argument {
  if (argument.role !== "control" || argument.label.i >= Integrity.PARENT_CONSOLE) return argument;
  const said = literals.some((literal) => accepts.includes(literal.type) && sameValue(literal, argument.value));
  if (!said) return argument;
  const label: Label = { ...argument.label, i: Integrity.PARENT_CONSOLE };
  return { ...argument, label };
}

/** Numbers by value, where the argument is one: as a text, 0x0d is not 13. Addresses as they are asked for, hosts without case, everything else to the letter. */
function sameValue({ type, value }: TypedLiteral, other: Argument["value"]): boolean {
  if (typeof other === "number") return type === "number" && Number(value) === other;
  if (type === "url") return value === other || hrefOf(value) === hrefOf(other);
  if (type === "host") return value.toLowerCase() === String(other).toLowerCase();
  return value === String(other);
}

/** As a browser would write it: "https://Example.org" is "https://example.org/". What is no address equals nothing. */
const hrefOf = (text: Argument["value"]): string | symbol => URL.parse(String(text))?.href ?? Symbol("no address");

function hostOf(url: string): string | null {
  const match = /^https?:\/\/([^/?#\\@:]+)(?::\d+)?(?:[/?#]|$)/iu.exec(url);
  return match?.[1]?.toLowerCase() ?? null;
}
