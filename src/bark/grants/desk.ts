import type { Json } from "../../lib/canonical-json.ts";
import type { Label } from "../../lib/label.ts";
import type { PreparedCall } from "../call.ts";
import type { Reply } from "../monitor/monitor.ts";
import type { Decision } from "../types.ts";

/** A call that was judged, as a grant is held against it. */
export interface GrantRequest {
  readonly skill: string;
  readonly args: Json;
  readonly prepared: PreparedCall;
  readonly decision: Decision;
  readonly context: Label;
}

/** What a person may make standing: exactly this call, and nothing that only looks like it. */
export interface GrantOffer {
  /** As `--allow` takes it. */
  readonly pattern: string;
  /** The grant to the last word, for whoever confirms it; null where only a parent's signature makes one. */
  readonly lines: readonly string[] | null;
}

/** Standing permissions, applied after the decision and never inside it. They answer an `ask`, and nothing else. */
export interface GrantDesk {
  /** Uses one up by one: durable when it returns. Null where none covers the call. */
  use(request: GrantRequest): Reply | null;
  offer(request: GrantRequest): GrantOffer | null;
  /** Of a person's "always". What goes wrong is told to them; the call itself was allowed all the same. */
  make(request: GrantRequest, by: string): void;
}
