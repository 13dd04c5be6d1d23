import { resolve } from "node:path";
import { forTerminal } from "../headless/terminal-text.ts";
import type { ModelShop } from "../models/library.ts";
import type { InstalledModel, ListedModel, ModelError } from "../models/port.ts";
import type { Result } from "../lib/result.ts";
import type { VerifyReport } from "../models/verify.ts";
import { readSmallFile } from "../platform/settings-file.ts";
import { bytesText } from "./bytes-text.ts";
import type { CommandIo } from "./command.ts";
import { modelErrorText } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";
import { libraryOf } from "./library.ts";
import { planText } from "./models-plan-text.ts";
import { progressLine } from "./progress-line.ts";
import { askYesNo } from "./question.ts";
import { stickOf } from "./stick.ts";
import { columns } from "./text-table.ts";

interface Json {
  readonly json: boolean | undefined;
}

/** Bytes. Longer than any template of today. */
const MAX_TEMPLATE = 1 << 20;

const shop = (io: CommandIo): ModelShop => libraryOf(stickOf(io, undefined), io.env);

export async function listModels({ json }: Json, io: CommandIo): Promise<number> {
  const models = await shop(io).list();
  if (json) io.out(`${JSON.stringify({ models })}\n`);
  else io.out(listText(models));
  return ExitCode.DONE;
}

const HEADINGS = {
  ready: "Here",
  broken: "Here, broken",
  "found-on-host": "Elsewhere on this computer (noctem models import NAME)",
  downloadable: "To be had (noctem models pull NAME)",
} as const;

function listText(models: readonly ListedModel[]): string {
  const blocks = (["ready", "broken", "found-on-host", "downloadable"] as const).flatMap((state) => {
    const rows = models
      .filter((model) => model.state === state)
      .map((model) => [model.name, bytesText(model.size), model.tier, model.verdict].map(forTerminal));
    return rows.length === 0 ? [] : [`${HEADINGS[state]}\n${columns(rows, ["left", "right", "left", "left"], "  ")}`];
  });
  return blocks.join("\n");
}

export async function pullModel({ model, json }: Json & { readonly model: string }, io: CommandIo): Promise<number> {
  const library = shop(io);
  using progress = progressLine(io, model);
  return installed(await library.pull(model, progress.show, io.signal), json, io, progress.clear);
}

interface ImportArguments extends Json {
  readonly file: string | undefined;
  readonly link: boolean | undefined;
  readonly template: string | undefined;
}

export async function importModel({ file, link, template, json }: ImportArguments, io: CommandIo): Promise<number> {
  const library = shop(io);
  const finds = await library.finds();
  if (file === undefined) {
    if (json)
      io.out(`${JSON.stringify({ found: finds.map(({ origin, name, path, size, sha256 }) => ({ origin, name, path, size, sha256 })) })}\n`);
    else if (finds.length === 0)
      io.err("noctem: Neither Ollama nor LM Studio nor the Hugging Face cache has a model here. Name a GGUF file to take that in.\n");
    else
      io.out(
        columns(
          finds.map((find) => [find.name, bytesText(find.size), find.origin, find.path].map(forTerminal)),
          ["left", "right", "left", "left"],
        ),
      );
    return ExitCode.DONE;
  }
  const source = template === undefined ? null : readSmallFile(resolve(io.cwd, template), MAX_TEMPLATE);
  if (source && (!source.ok || source.value === null)) {
    io.err(`noctem: --template: ${template} cannot be read.\n`);
    return ExitCode.USAGE;
  }
  const typed = file.toLowerCase();
  const find = finds.find((candidate) => candidate.name.toLowerCase() === typed || candidate.entry?.aliases.includes(typed));
  using progress = progressLine(io, find?.name ?? file);
  const path = find?.path ?? resolve(io.cwd, file);
  const options = { link: link === true, template: source?.ok ? source.value : null };
  return installed(await library.importModel(path, options, progress.show, io.signal), json, io, progress.clear);
}

function installed(result: Result<InstalledModel, ModelError>, json: boolean | undefined, io: CommandIo, clear: () => void): number {
  clear();
  if (!result.ok) return refuse(result.error, json, io);
  const { name, path, size, sha256, notes } = result.value;
  if (json) io.out(`${JSON.stringify({ name, path, size, sha256, notes })}\n`);
  else {
    io.err(`noctem: ${name} is ready (${bytesText(size)}).${sha256 === "" || sha256.includes(",") ? "" : ` SHA-256 ${sha256}`}\n`);
    for (const note of notes) io.err(`        ${forTerminal(note)}\n`);
  }
  return ExitCode.DONE;
}

/** What is shown where nobody asks for another size. */
const CONTEXTS = [4096, 8192, 32768] as const;

export async function planModels(
  { model, context, json }: Json & { readonly model: string | undefined; readonly context: number | undefined },
  io: CommandIo,
): Promise<number> {
  const library = shop(io);
  const planned = await library.plan(context === undefined ? CONTEXTS : [context], model ?? null);
  if (!planned.ok) return refuse(planned.error, json, io);
  const placed = await library.place({ model: null, contextSize: context ?? null, gpu: "auto" });
  const wanted = library.recommended();
  const choice = placed.ok
    ? { quick: placed.value.quick?.name ?? null, task: placed.value.task?.name ?? null, reason: placed.value.reason }
    : { quick: null, task: null, reason: modelErrorText(placed.error).text };
  const better = wanted !== null && wanted.name !== choice.task ? wanted.name : null;
  if (json) io.out(`${JSON.stringify({ ...planned.value, auto: choice, recommended: better })}\n`);
  else io.out(planText(planned.value, choice, better));
  return ExitCode.DONE;
}

export async function verifyModels(
  { model, repair, json }: Json & { readonly model: string | undefined; readonly repair: boolean | undefined },
  io: CommandIo,
): Promise<number> {
  const library = shop(io);
  using progress = progressLine(io, model ?? "models");
  const verified = await library.verify(model ?? null, repair === true, progress.show, io.signal);
  progress.clear();
  if (!verified.ok) return refuse(verified.error, json, io);
  const reports = verified.value;
  const code = reports.some((report) => report.state === "damaged") ? ExitCode.BAD_MODEL : ExitCode.DONE;
  if (json) io.out(`${JSON.stringify({ models: reports, code })}\n`);
  else if (reports.length === 0) io.err("noctem: There is no model here to verify.\n");
  else for (const report of reports) io.out(`${forTerminal(verdict(report))}\n`);
  return code;
}

function verdict({ name, path, state, files }: VerifyReport): string {
  switch (state) {
    case "sound":
      return `${name}: sound`;
    case "pinned":
      return `${name}: no checksum was known of ${path}; the one it has now is kept and will be compared from now on`;
    case "repaired": {
      const count = files.reduce((sum, file) => sum + (file.chunks?.repaired ?? 0), 0);
      return `${name}: repaired, ${count} of its parts of 8 MiB ${count === 1 ? "was" : "were"} fetched again`;
    }
    case "damaged": {
      const bad = files.reduce((sum, file) => sum + (file.chunks ? file.chunks.bad - file.chunks.repaired : 0), 0);
      const total = files.reduce((sum, file) => sum + (file.chunks?.total ?? 0), 0);
      const where = bad > 0 ? `${bad} of its ${total} parts of 8 MiB differ` : "it is not the file it should be";
      const fix =
        bad > 0
          ? `"noctem models verify --repair ${name}" fetches those again`
          : `remove it ("noctem models remove ${name}") and pull it again`;
      return `${name}: damaged, ${where}; ${fix}`;
    }
  }
}

export async function removeModel(
  { model, yes, json }: Json & { readonly model: string; readonly yes: boolean | undefined },
  io: CommandIo,
): Promise<number> {
  if (!yes && !(io.stdinIsTerminal && io.stderrIsTerminal)) {
    io.err("noctem: Without a terminal to ask on, say --yes.\n");
    return ExitCode.USAGE;
  }
  const library = shop(io);
  if (!yes && !(await askYesNo(`Delete ${forTerminal(model)} from the stick?`, io))) {
    io.err("noctem: Nothing was deleted.\n");
    return io.signal.aborted ? ExitCode.SIGINT : ExitCode.DONE;
  }
  const removed = await library.remove(model);
  if (!removed.ok) return refuse(removed.error, json, io);
  if (json) io.out(`${JSON.stringify({ removed: removed.value })}\n`);
  else io.err(`noctem: Removed ${removed.value.map(forTerminal).join(", ")}.\n`);
  return ExitCode.DONE;
}

function refuse(error: ModelError, json: boolean | undefined, io: CommandIo): number {
  const { text, code } = modelErrorText(error);
  if (json) io.out(`${JSON.stringify({ error: { kind: error.kind, message: text, code } })}\n`);
  io.err(`noctem: ${forTerminal(text)}\n`);
  return code;
}
