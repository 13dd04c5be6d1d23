import type { MessageId, Millis, SessionId } from "./brand.ts";
import type { CageLevel } from "./cage-level.ts";
import type { Label } from "./label.ts";

/**
 * Where a piece of a message came from. `reasoning` is a kind of its own: it is folded on screen, hidden in pipes and
 * never trained on.
 */
export const SPAN_KINDS = ["typed", "pasted", "piped", "model", "reasoning"] as const;
export type SpanKind = (typeof SPAN_KINDS)[number];
export interface Span {
  readonly kind: SpanKind;
  readonly text: string;
}

export const ROLES = ["system", "user", "assistant"] as const;
export type Role = (typeof ROLES)[number];

/** Why the model stopped: its own end token, an asked-for limit, repetition, the clock, a person, or a failure. */
export const STOP_REASONS = ["end", "length", "loop", "timeout", "cancelled", "error"] as const;
export type StopReason = (typeof STOP_REASONS)[number];

/** Facts about one model reply, kept beside it so that any answer can be explained later. */
export interface ReplyFacts {
  readonly model: string;
  readonly tier: ModelTier;
  readonly reason: string;
  readonly stop: StopReason;
  readonly seed: number;
  readonly tokens: TokenCounts;
  readonly timings: Timings;
  /** How the process was held that said it; absent where that was not recorded yet. */
  readonly cage?: CageLevel;
}

export type ModelTier = "quick" | "task";

export interface TokenCounts {
  /** Tokens of the whole prompt as rendered by the chat template. */
  readonly prompt: number;
  /** Of those, tokens whose KV state was reused. */
  readonly cached: number;
  /** Tokens generated, reasoning included. */
  readonly completion: number;
  /** Of those, tokens of reasoning. */
  readonly reasoning: number;
}

export interface Timings {
  /** Milliseconds from request to the first generated token. */
  readonly firstTokenMs: number;
  /** Milliseconds spent on evaluating the prompt. */
  readonly promptMs: number;
  /** Milliseconds spent on generating, first token excluded. */
  readonly generateMs: number;
  /** Tokens per second over `generateMs`; 0 when fewer than two tokens were generated. */
  readonly tokensPerSecond: number;
}

/** Which edge a message entered by. */
export const ORIGINS = ["tui", "headless", "signal", "agent"] as const;
export type Origin = (typeof ORIGINS)[number];

/** A message as everything above the heart sees it. */
export interface Message {
  readonly id: MessageId;
  readonly session: SessionId;
  /** The message this one answers or follows; siblings share a parent. `null` for the first. */
  readonly parent: MessageId | null;
  readonly role: Role;
  readonly spans: readonly Span[];
  readonly label: Label;
  readonly origin: Origin;
  /** Wall-clock part of the hybrid logical clock, for display. */
  readonly at: Millis;
  readonly reply: ReplyFacts | null;
  /** True when the body was forgotten; `spans` is then empty. */
  readonly redacted: boolean;
}

/** The text without reasoning: what a reader sees, what `/copy` copies. */
export const visibleText = (spans: readonly Span[]): string =>
  spans.reduce((text, span) => (span.kind === "reasoning" ? text : text + span.text), "");

export const reasoningText = (spans: readonly Span[]): string =>
  spans.reduce((text, span) => (span.kind === "reasoning" ? text + span.text : text), "");
