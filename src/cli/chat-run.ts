import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { ResolvedSettings } from "../config/settings.ts";
import { type Workspace, workspaceOf } from "../config/workspace.ts";
import type { HeadlessSetup } from "../headless/headless.ts";
import { type AnswerSchema, compileSchema } from "../headless/json-schema.ts";
import type { Output } from "../headless/ports.ts";
import { promptSpans } from "../headless/prompt.ts";
import type { Explain, Explained } from "../headless/result-object.ts";
import type { Span } from "../lib/message.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { readSmallFile } from "../platform/settings-file.ts";
import { systemTimers } from "../platform/timers.ts";
import type { GenerationOptions } from "../session/options.ts";
import type { CHAT_OPTIONS } from "./chat.ts";
import type { CommandIo, Interruption, OptionArguments } from "./command.ts";
import type { SessionRequest } from "./compose.ts";
import { batchLineErrorText, pipedErrorText, promptErrorText, settingsErrorText, verdictText } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";
import { pipedText, silenceRule } from "./prompt-source.ts";
import { loadSettings, stickOf } from "./stick.ts";

/** Bytes. Longer than any template or schema that a model could follow. */
const MAX_ASIDE = 1024 * 1024;

export type ChatArguments = OptionArguments<typeof CHAT_OPTIONS>;

/** `noctem` without a command: the chat where a person sits at a terminal, an answer on stdout everywhere else. */
export async function runChat(args: ChatArguments, io: CommandIo): Promise<number> {
  const fail = ({ text, code }: Explained): number => {
    if (text !== "") io.err(`noctem: ${text}\n`);
    return code;
  };
  const layout = stickOf(io, args.heart);
  const loaded = loadSettings(layout, io, args);
  if (!loaded.ok) return fail(settingsErrorText(loaded.error));
  const { settings, origins } = loaded.value;
  const wrong = contradiction(args);
  if (wrong) return fail(usage(wrong));
  const setting = origins.workspace === "file" ? settings.workspace : null;
  const workspace = workspaceOf({ asked: setting === null ? settings.workspace : null, setting, cwd: io.cwd, layout });
  const missing = settings.workspace === null ? null : missingFolder(workspace.path);
  if (missing !== null) return fail(usage(missing));
  const schema = readSchema(args, io);
  if (!schema.ok) return fail(usage(schema.error));
  const template = readAside(args.template, "--template", io);
  if (!template.ok) return fail(usage(template.error));
  const request: SessionRequest = {
    layout,
    settings,
    model: modelWish(settings.model, origins.model === "file" ? layout.root : io.cwd),
    template: template.value,
    start: args.continue ? { kind: "continue" } : args.resume === undefined ? { kind: "new" } : { kind: "resume", id: args.resume },
    generation: generationOf(settings, schema.value),
    io,
    workspace,
  };

  const piped = !io.stdinIsTerminal;
  const asked =
    args.prompt !== undefined || args.headless === true || args.batch === true || args.output !== undefined || schema.value !== null;
  if (!asked && !piped) {
    if (!io.stdoutIsTerminal) return fail(promptErrorText({ kind: "empty" }));
    const { runTui } = await import("./tui-run.ts");
    return await runTui({ ...request, plain: args.plain === true });
  }
  return await runHeadless(args, request, schema.value, workspace, io, fail);
}

async function runHeadless(
  args: ChatArguments,
  request: SessionRequest,
  schema: AnswerSchema | null,
  workspace: Workspace,
  io: CommandIo,
  fail: (explained: Explained) => number,
): Promise<number> {
  const { settings } = request;
  const setup: HeadlessSetup = {
    output: (args.output ?? "text") as Output,
    thinking: settings.thinking,
    verbose: args.verbose === true,
    workspace: workspace.path,
    timeoutMs: args.timeout === undefined ? null : args.timeout * 1000,
    maxTokens: settings["max-tokens"],
    schema,
    io,
    timers: systemTimers,
    explain: explainFor(io),
  };
  if (args.batch) return await runBatch(request, setup, io, fail);
  const spans = await readPrompt(args, settings, io);
  if (!spans.ok) return fail(spans.error);
  const { withSession } = await import("./compose.ts");
  const { answerOnce } = await import("../headless/headless.ts");
  return await withSession(request, "headless", async (session) => await answerOnce(session, spans.value, setup));
}

async function runBatch(
  request: SessionRequest,
  setup: HeadlessSetup,
  io: CommandIo,
  fail: (explained: Explained) => number,
): Promise<number> {
  const { stdin, store } = request.settings;
  if (io.stdinIsTerminal || stdin === "none") return fail(usage("--batch reads JSON lines from standard input; pipe them in."));
  const [{ withSession }, { answerBatch }, { readLines }, { stdinChunks }] = await Promise.all([
    import("./compose.ts"),
    import("../headless/batch.ts"),
    import("../headless/piped-text.ts"),
    import("../platform/stdin.ts"),
  ]);
  const lines = readLines(stdinChunks(), silenceRule(stdin, io));
  return await withSession(request, "headless", async (session) =>
    answerBatch(session, lines, { ...setup, ephemeral: !store, explainLine: batchLineErrorText }),
  );
}

/** Standard input is waited for before anything is loaded: a prompt that never comes should cost nothing. */
async function readPrompt(args: ChatArguments, settings: ResolvedSettings, io: CommandIo): Promise<Result<readonly Span[], Explained>> {
  // An own prompt that is empty is a slip of a script, whatever stands in the pipe.
  if (args.prompt?.trim() === "") return err(promptErrorText({ kind: "empty" }));
  const piped = await pipedText(settings.stdin, io);
  if (!piped.ok) return err(pipedErrorText(piped.error));
  if (io.signal.aborted) return err({ text: "", code: ExitCode.SIGINT });
  const spans = promptSpans(args.prompt ?? null, piped.value);
  return spans.ok ? spans : err(promptErrorText(spans.error));
}

/** A name for the library, or the absolute path of a file: what looks like a path is one, and so is a file that is there. */
function modelWish(model: string | null, base: string): string | null {
  if (model === null) return null;
  const path = resolve(base, model);
  return /^\.{0,2}\//u.test(model) || (model.endsWith(".gguf") && existsSync(path)) ? path : model;
}

/** A folder that was named must be there: a mistyped one would otherwise be found out by the first file that is not. */
const missingFolder = (path: string): string | null =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? null : `The workspace ${path} is not a folder that exists.`;

const usage = (text: string): Explained => ({ text, code: ExitCode.USAGE });

/** Options that cannot both be meant. */
function contradiction(args: ChatArguments): string | null {
  if (args.continue && args.resume !== undefined) return "--continue and --resume name two conversations; use one of them.";
  if (args.store === false && (args.continue || args.resume !== undefined))
    return "--no-store keeps nothing, so it cannot go on with a conversation that is kept.";
  if (args.batch) {
    if (args.prompt !== undefined) return "--batch reads its prompts from standard input; leave -p away.";
    if (args.continue || args.resume !== undefined) return "--batch answers each line by itself; leave --continue and --resume away.";
    if (args.output === "text" || args.output === "stream-json") return "--batch answers with JSON lines; leave --output away.";
  }
  return null;
}

function generationOf(settings: ResolvedSettings, schema: AnswerSchema | null): GenerationOptions {
  return {
    system: settings.system,
    maxTokens: settings["max-tokens"],
    temperature: settings.temperature,
    topP: settings["top-p"],
    topK: settings["top-k"],
    minP: settings["min-p"],
    seed: settings.seed,
    jsonSchema: schema?.grammar ?? null,
  };
}

function readSchema(args: ChatArguments, io: CommandIo): Result<AnswerSchema | null, string> {
  const text = readAside(args["json-schema"], "--json-schema", io);
  if (!text.ok || text.value === null) return text.ok ? ok(null) : text;
  let source: unknown;
  try {
    source = JSON.parse(text.value);
  } catch {
    return err(`--json-schema: ${args["json-schema"]} is not JSON.`);
  }
  const compiled = compileSchema(source);
  return compiled.ok ? compiled : err(`--json-schema: ${compiled.error}`);
}

/** The text of a file that an option names; null without the option. */
function readAside(path: string | undefined, option: string, io: CommandIo): Result<string | null, string> {
  if (path === undefined) return ok(null);
  const text = readSmallFile(resolve(io.cwd, path), MAX_ASIDE);
  if (!text.ok) return err(`${option}: ${path} cannot be read: ${"detail" in text.error ? text.error.detail : text.error.kind}.`);
  return text.value === null ? err(`${option}: there is no file ${path}.`) : ok(text.value);
}

/** Who interrupted is known here alone: a reader that had enough needs no word about it. */
function explainFor(io: CommandIo): Explain {
  return (verdict) => {
    if (verdict.kind !== "interrupted") return verdictText(verdict);
    const why = io.signal.aborted ? (io.signal.reason as Interruption) : null;
    if (why?.kind === "reader-gone") return { text: "", code: ExitCode.DONE };
    return { ...verdictText(verdict), ...(why && { code: ExitCode[why.name] }) };
  };
}
