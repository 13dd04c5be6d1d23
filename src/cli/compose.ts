import { existsSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { StickLayout } from "../config/layout.ts";
import type { ResolvedSettings } from "../config/settings.ts";
import type { Workspace } from "../config/workspace.ts";
import { createEngineHost } from "../engine/host.ts";
import type { OpenHeart } from "../heart/open.ts";
import type { Heart } from "../heart/port.ts";
import type { SessionId } from "../lib/brand.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { ModelLibrary } from "../models/port.ts";
import { heartDeps } from "../platform/heart.ts";
import { writeNewTextFile } from "../platform/settings-file.ts";
import { systemTimers } from "../platform/timers.ts";
import type { SessionConfig, SessionDeps } from "../session/deps.ts";
import type { GenerationOptions } from "../session/options.ts";
import type { SessionPort } from "../session/port.ts";
import { createSession } from "../session/session.ts";
import { approvalSource } from "./approval-source.ts";
import { stickLog } from "./audit-desk.ts";
import { logModels } from "./chat-log.ts";
import type { CommandIo } from "./command.ts";
import { careAfterSitting } from "./daily-care.ts";
import { EngineModels } from "./engine-models.ts";
import { engineErrorText, heartErrorText, modelErrorText } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";
import { openMemoryHeart, openStickHeart } from "./heart-access.ts";
import { libraryOf } from "./library.ts";
import { findSession } from "./sessions-run.ts";

/** What a command line asks of a sitting. */
export interface SessionRequest {
  readonly layout: StickLayout;
  readonly settings: ResolvedSettings;
  /** A model's name, or the absolute path of a file; null chooses by what fits. */
  readonly model: string | null;
  /** Jinja source of `--template`. */
  readonly template: string | null;
  readonly start: { readonly kind: "new" } | { readonly kind: "continue" } | { readonly kind: "resume"; readonly id: string };
  readonly generation: GenerationOptions;
  readonly workspace: Workspace;
  readonly io: CommandIo;
}

/**
 * Milliseconds that an engine has to heed a cancel before it is killed. A person in the chat wants the model to stay loaded and can wait;
 * a script that said `--timeout` cannot. Less than the time in which the edge expects the cut answer to be stored.
 */
const SCRIPT_PATIENCE = 4000;

/**
 * Puts the real parts together, hands the session to `use` and takes everything apart again, in order, whatever happens.
 * What cannot be opened is said on stderr and ends in its exit code; `use` is then not called.
 */
export async function withSession(
  request: SessionRequest,
  edge: "tui" | "headless",
  use: (session: SessionPort, library: ModelLibrary) => Promise<number>,
): Promise<number> {
  let sat = false;
  const code = await sit(request, edge, async (session, library) => {
    sat = true;
    return await use(session, library);
  });
  // A heart that could not be opened was told of; and whoever ended the sitting from outside is waiting for the process to go.
  if (sat && request.settings.store && !request.io.signal.aborted) request.io.err(careAfterSitting(heartDeps(), request.layout));
  return code;
}

async function sit(
  request: SessionRequest,
  edge: "tui" | "headless",
  use: (session: SessionPort, library: ModelLibrary) => Promise<number>,
): Promise<number> {
  const { layout, settings, io } = request;
  const ephemeral = !settings.store;
  // A pipe that keeps nothing does not even look at the heart; a person in the chat may still want to see old conversations.
  const opened = ephemeral && edge === "headless" ? ok(openMemoryHeart()) : openStickHeart(layout);
  if (!opened.ok) return say(heartErrorText(opened.error), io);
  using heart = new CurrentHeart(opened.value);
  const start = startOf(request, heart.current, ephemeral);
  if (!start.ok) return say(start.error, io);

  const models = new EngineModels(layout);
  const library = withTemplate(models.watch(libraryOf(layout)), request.template);
  const limits = edge === "headless" ? { cancel: SCRIPT_PATIENCE } : {};
  await using engine = createEngineHost({ spawn: models.spawn, timers: systemTimers, limits });
  const { clock, random } = heartDeps();
  const approvals = edge === "tui" && heart.current.mode.kind === "stored" ? approvalSource(layout, () => heart.current, io) : null;
  const deps: SessionDeps = {
    heart: heart.current,
    memoryHeart: openMemoryHeart,
    reopenHeart: () => heart.reopen(),
    stickPresent: () => existsSync(layout.heart),
    engine,
    library,
    clock,
    random,
    every: (ms, tick) => systemTimers.every(ms, tick),
    writeNewFile: (path, text) => writeToWorkspace(request.workspace, path, text),
    ...(approvals === null ? {} : { approvals, typedIntegrity: () => (approvals.locked() ? 2 : 3) }),
    hostBytes: () => process.memoryUsage.rss(),
    describe: {
      heart: (error) => heartErrorText(error).text,
      engine: (error) => engineErrorText(error).text,
      model: (error) => modelErrorText(error).text,
    },
  };
  await using session = createSession(deps, configOf(request, edge, start.value));
  using _log = ephemeral || heart.current.mode.kind !== "stored" ? null : logModels(session, library, stickLog(layout, heart.log));
  return await use(session, library);
}

/** The heart that is open now: a pulled stick that comes back is another handle on the same heart. */
class CurrentHeart implements Disposable {
  current: OpenHeart;

  constructor(heart: OpenHeart) {
    this.current = heart;
  }

  reopen(): ReturnType<OpenHeart["reopen"]> {
    const next = this.current.reopen();
    if (next.ok) this.current = next.value;
    return next;
  }

  /** For the log, which is written to whatever handle is open. */
  readonly log = ((self: CurrentHeart) => ({
    get audit() {
      return self.current.audit;
    },
    get id() {
      return self.current.id;
    },
  }))(this);

  [Symbol.dispose](): void {
    this.current[Symbol.dispose]();
  }
}

function configOf({ generation, model, settings }: SessionRequest, edge: "tui" | "headless", start: SessionConfig["start"]): SessionConfig {
  const { threads, context, gpu } = settings;
  return {
    origin: edge,
    generation,
    wish: { model, contextSize: context, gpu },
    threads: threads === null ? null : { prompt: threads, generate: threads, measured: [] },
    start,
    interactive: edge === "tui",
  };
}

type Said = { readonly text: string; readonly code: number };

function startOf({ start }: SessionRequest, heart: Heart, ephemeral: boolean): Result<SessionConfig["start"], Said> {
  const resumed = (session: SessionId): Result<SessionConfig["start"], Said> => ok({ kind: "resume", session });
  switch (start.kind) {
    case "new":
      return ok({ kind: "new", ephemeral });
    case "continue": {
      const newest = heart.newestSession();
      return newest === null ? err({ text: "There is no conversation to continue yet.", code: ExitCode.USAGE }) : resumed(newest);
    }
    case "resume": {
      const found = findSession(heart, start.id);
      return found.ok ? resumed(found.value) : err(heartErrorText(found.error));
    }
  }
}

/** `--template` replaces the template of whatever model is chosen. */
function withTemplate(library: ModelLibrary, template: string | null): ModelLibrary {
  if (template === null) return library;
  return {
    place: async (wish) => {
      const placed = await library.place(wish);
      if (!placed.ok) return placed;
      const { quick, task } = placed.value;
      return ok({ ...placed.value, quick: quick && { ...quick, template }, task: task && { ...task, template } });
    },
    list: () => library.list(),
    pull: (name, onProgress, signal) => library.pull(name, onProgress, signal),
    importFile: (path, onProgress, signal) => library.importFile(path, onProgress, signal),
    recordThreads: (path, threads) => library.recordThreads(path, threads),
  };
}

/** The error is a sentence for the chat. */
function writeToWorkspace(workspace: Workspace, path: string, text: string): Result<string, string> {
  const full = resolve(workspace.path, path);
  try {
    // `work/` is ours to make; any other folder that is missing is a slip.
    if (workspace.because === "own-files") mkdirSync(dirname(full), { recursive: true });
  } catch {
    // Writing says why.
  }
  const written = writeNewTextFile(full, text);
  if (written.ok) return ok(full);
  switch (written.error.kind) {
    case "exists":
      return err(`${path} exists already and was left as it is. Name another file.`);
    case "read-only":
      return err(`${path} cannot be written: the folder is read-only.`);
    case "full":
      return err(`${path} cannot be written: there is no room left.`);
    case "io":
    case "unreadable":
      return err(`${path} cannot be written: ${written.error.detail}.`);
    case "too-large":
      return err(`${path} cannot be written: it is too large.`);
  }
}

function say({ text, code }: Said, io: CommandIo): number {
  io.err(`noctem: ${text}\n`);
  return code;
}
