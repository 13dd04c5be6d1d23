import type { ChatMessage, MessageCosts } from "../engine/port.ts";

/** Which messages the model sees, and what that costs. Indexes are into the messages that were given. */
export interface FittedContext {
  /** Kept messages, in order. A system message at index 0 is always among them, and so is the last message. */
  readonly kept: readonly number[];
  /** How many of the oldest were left out. */
  readonly dropped: number;
  readonly promptTokens: number;
}

export type ContextOverflow = { readonly kind: "prompt-too-long"; readonly promptTokens: number; readonly contextSize: number };

/** The least room for an answer: below it a prompt counts as too long. */
const MIN_ANSWER_TOKENS = 16;

/**
 * Tokens to keep free for the answer: what was asked for, but never more than a quarter of the context, so that one large
 * `--max-tokens` does not push the conversation out.
 */
export function answerReserve(contextSize: number, maxTokens: number | null): number {
  return Math.min(maxTokens ?? 1024, Math.floor(contextSize / 4));
}

/**
 * Leaves out the oldest turns until the rest fits `contextSize - reserve`.
 *
 * Whole turns go (a user message with its answers), so that the first kept message is a user's. The cut advances in steps of
 * an eighth of the context instead of message by message: each move of the cut costs an evaluation of the whole prompt, and a
 * coarse cut moves seldom. The cut depends on the messages alone, so the same conversation is always cut at the same place.
 */
export function fitContext(
  messages: readonly ChatMessage[],
  costs: MessageCosts,
  contextSize: number,
  reserve: number,
): FittedContext | ContextOverflow {
  const cost = (index: number) => costs.messages[index] ?? 0;
  const first = messages[0]?.role === "system" ? 1 : 0;
  const last = messages.length - 1;
  const fixed = costs.frame + (first === 1 ? cost(0) : 0);
  const lastTurn = lastUserMessage(messages, first);
  const least = fixed + sum(cost, lastTurn, last);
  if (least + MIN_ANSWER_TOKENS > contextSize) return { kind: "prompt-too-long", promptTokens: least, contextSize };

  const limit = Math.max(least, contextSize - reserve);
  const total = fixed + sum(cost, first, last);
  let cut = first;
  if (total > limit) {
    const step = Math.max(1, Math.floor(contextSize / 8));
    const wanted = Math.ceil((total - limit) / step) * step;
    let gone = 0;
    while (cut < lastTurn && (gone < wanted || messages[cut]?.role !== "user")) gone += cost(cut++);
  }
  const kept = first === 1 ? [0] : [];
  for (let index = cut; index <= last; index++) kept.push(index);
  return { kept, dropped: cut - first, promptTokens: fixed + sum(cost, cut, last) };
}

function lastUserMessage(messages: readonly ChatMessage[], first: number): number {
  for (let index = messages.length - 1; index >= first; index--) if (messages[index]?.role === "user") return index;
  return Math.max(first, messages.length - 1);
}

function sum(cost: (index: number) => number, from: number, to: number): number {
  let total = 0;
  for (let index = from; index <= to; index++) total += cost(index);
  return total;
}
