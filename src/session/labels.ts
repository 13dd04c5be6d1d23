import { Confidentiality, Integrity, join, type Label } from "../lib/label.ts";
import type { Span } from "../lib/message.ts";

const own = (i: Label["i"], p: readonly string[]): Label => ({ c: Confidentiality.PERSONAL, k: [], i, p });

/**
 * The label of a person's message. What was typed speaks with the person's voice; what was pasted is data. Standard input
 * that is the whole prompt was chosen by whoever wrote the command line; beside typed words it is data.
 */
export function labelOf(spans: readonly Span[], typed: 2 | 3 = Integrity.PARENT_CONSOLE): Label {
  const whole = spans.every((span) => span.kind === "piped");
  return spans.map((span) => spanLabel(span, whole, typed)).reduce(join, own(Integrity.PARENT_CONSOLE, []));
}

function spanLabel(span: Span, whole: boolean, typed: 2 | 3): Label {
  switch (span.kind) {
    case "typed":
      return own(typed, []);
    case "piped":
      return own(whole ? Integrity.PARENT_REMOTE : Integrity.UNTRUSTED, ["stdin"]);
    case "pasted":
      return own(Integrity.UNTRUSTED, ["paste"]);
    case "model":
    case "reasoning":
      return own(Integrity.UNTRUSTED, ["model"]);
  }
}
