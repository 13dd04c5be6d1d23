import type { MessageId } from "../lib/brand.ts";
import type { ModelTier, ReplyFacts, StopReason } from "../lib/message.ts";
import type { ShownApproval } from "./approvals.ts";
import type { Job, ModelState, ModelSummary, SessionEvent, SessionSummary, ShownMessage, StoreState, TurnFailure } from "./event.ts";

/** The answer being generated; its text is plain, not yet a message. */
export interface LiveTurn {
  readonly turn: number;
  readonly tier: ModelTier;
  readonly model: string;
  readonly reason: string;
  readonly text: string;
  readonly reasoning: string;
  readonly tokens: number;
  /** Null while the prompt is still being evaluated. */
  readonly promptTokens: number | null;
}

export interface Notice {
  readonly id: number;
  readonly severity: "info" | "warning" | "error";
  readonly text: string;
  /** Stands after this message in the transcript; null before the first. */
  readonly after: MessageId | null;
}

/** Everything an edge needs to draw. A value: two equal states draw the same. */
export interface ViewState {
  readonly session: SessionSummary | null;
  readonly store: StoreState;
  readonly path: readonly ShownMessage[];
  readonly live: LiveTurn | null;
  /** A prompt that waits for a model. */
  readonly queued: string | null;
  readonly models: Readonly<Record<ModelTier, ModelState>>;
  readonly lastReply: ReplyFacts | null;
  readonly lastFailure: TurnFailure | null;
  readonly context: { readonly used: number; readonly size: number };
  readonly notices: readonly Notice[];
  /** Running jobs and those that ended in this sitting, oldest first, bounded by `MAX_JOBS`. */
  readonly jobs: readonly Job[];
  readonly sessions: readonly SessionSummary[];
  readonly catalogue: readonly ModelSummary[];
  /** Questions that wait for this person, the oldest first. */
  readonly approvals: readonly ShownApproval[];
  readonly stick: "present" | "gone";
  readonly memory: { readonly hostBytes: number; readonly engineBytes: number; readonly gpuBytes: number };
}

const NO_MODEL_YET: ModelState = { kind: "none", hint: "" };
const MAX_NOTICES = 200;
const MAX_JOBS = 50;

export const INITIAL_VIEW: ViewState = {
  session: null,
  store: { kind: "memory", warning: null },
  path: [],
  live: null,
  queued: null,
  models: { quick: NO_MODEL_YET, task: NO_MODEL_YET },
  lastReply: null,
  lastFailure: null,
  context: { used: 0, size: 0 },
  notices: [],
  jobs: [],
  sessions: [],
  catalogue: [],
  approvals: [],
  stick: "present",
  memory: { hostBytes: 0, engineBytes: 0, gpuBytes: 0 },
};

/** Pure: the same events give the same view, whichever edge draws it. Events of a turn that is no longer live change nothing. */
export function reduce(view: ViewState, event: SessionEvent): ViewState {
  switch (event.type) {
    case "session-opened":
      return {
        ...view,
        session: event.session,
        store: event.store,
        path: event.path,
        live: null,
        queued: null,
        notices: [],
        lastReply: null,
        lastFailure: null,
        context: { used: 0, size: view.context.size },
      };
    case "session-named":
      return { ...view, session: event.session };
    case "message-appended":
      return { ...view, path: [...view.path, event.shown], queued: null };
    case "path-changed":
      return { ...view, path: event.path };
    case "prompt-queued":
      return { ...view, queued: event.text };
    case "turn-started":
      return {
        ...view,
        queued: null,
        lastFailure: null,
        live: {
          turn: event.turn,
          tier: event.tier,
          model: event.model,
          reason: event.reason,
          text: "",
          reasoning: "",
          tokens: 0,
          promptTokens: null,
        },
      };
    case "turn-prompt":
      return inTurn(view, event.turn, (live) => ({ ...live, promptTokens: event.tokens }));
    case "turn-text":
      return inTurn(view, event.turn, (live) => ({ ...live, text: live.text + event.text, tokens: live.tokens + event.tokens }));
    case "turn-reasoning":
      return inTurn(view, event.turn, (live) => ({ ...live, reasoning: live.reasoning + event.text, tokens: live.tokens + event.tokens }));
    case "turn-trimmed":
      return note(view, "warning", `The ${event.dropped} oldest messages were left out: the context holds ${event.contextSize} tokens.`);
    case "turn-ended": {
      const settled = {
        ...settle(view, event.turn, event.shown),
        lastReply: event.reply,
        context: { ...view.context, used: event.contextUsed },
      };
      const why = event.shown === null ? UNANSWERED[event.stop] : undefined;
      return why === undefined ? settled : note(settled, "info", why);
    }
    case "turn-failed":
      return { ...settle(view, event.turn, event.shown), lastFailure: event.failure };
    case "model": {
      const models = { ...view.models, [event.tier]: event.state };
      return event.state.kind === "ready"
        ? { ...view, models, context: { ...view.context, size: event.state.contextSize } }
        : { ...view, models };
    }
    case "engine-restarted":
      // A turn that broke off with it says so itself.
      return view.live ? view : note(view, "warning", "The engine stopped; it is started anew when it is needed.");
    case "sessions-listed":
      return { ...view, sessions: event.sessions };
    case "models-listed":
      return { ...view, catalogue: event.models };
    case "job":
      return { ...view, jobs: upsertJob(view.jobs, event.job) };
    case "approvals":
      return { ...view, approvals: event.approvals };
    case "stick":
      return { ...view, stick: event.state };
    case "stats":
      return { ...view, memory: { hostBytes: event.hostBytes, engineBytes: event.engineBytes, gpuBytes: event.gpuBytes } };
    case "notice":
      return note(view, event.severity, event.text);
  }
}

function inTurn(view: ViewState, turn: number, change: (live: LiveTurn) => LiveTurn): ViewState {
  return view.live?.turn === turn ? { ...view, live: change(view.live) } : view;
}

/** The answer takes its place right after what it answers: another take replaces the one shown before. */
function settle(view: ViewState, turn: number, shown: ShownMessage | null): ViewState {
  const live = view.live?.turn === turn ? null : view.live;
  if (!shown) return { ...view, live };
  const asked = view.path.findLastIndex((entry) => entry.message.id === shown.message.parent);
  return { ...view, live, path: [...view.path.slice(0, asked < 0 ? view.path.length : asked + 1), shown] };
}

/** An answer without a word is no message that could carry the reason; without any, its question would look as if it had been lost. */
const UNANSWERED: Readonly<Partial<Record<StopReason, string>>> = {
  cancelled: "Stopped before an answer began. /retry asks again.",
  timeout: "Stopped by the time limit before an answer began. /retry asks again.",
};

function note(view: ViewState, severity: Notice["severity"], text: string): ViewState {
  const last = view.notices.at(-1);
  const after = view.path.at(-1)?.message.id ?? null;
  if (last?.text === text && last.after === after) return view;
  return { ...view, notices: [...view.notices, { id: (last?.id ?? 0) + 1, severity, text, after }].slice(-MAX_NOTICES) };
}

function upsertJob(jobs: readonly Job[], job: Job): readonly Job[] {
  const at = jobs.findIndex((known) => known.id === job.id);
  return at < 0 ? [...jobs, job].slice(-MAX_JOBS) : jobs.with(at, job);
}
