import { basename, join } from "node:path";
import { err, ok, type Result } from "../lib/result.ts";
import { formatChunks } from "./chunks.ts";
import type { ShopDeps } from "./deps.ts";
import { examine, readHeader } from "./inventory.ts";
import type { InstalledModel, ModelError, PullProgress } from "./port.ts";
import { chunksPath, emptyRecord, formatRecord, type Greeting, MAX_RECORD, type ModelRecord, parseRecord, recordPath } from "./record.ts";
import { dropState, fileError, type Transferred } from "./transfer.ts";

export interface Finished {
  readonly name: string;
  /** Complete and hashed, still under their `.part` names; in order. */
  readonly files: readonly (Transferred & { readonly target: string })[];
  readonly pin: { readonly from: NonNullable<ModelRecord["pin"]>["from"]; readonly source: string };
  /** File name of a template beside the model. */
  readonly template?: string | null;
}

/** Turns fetched files into an installed model: header looked at, pin compared, renamed, recorded, greeted. */
export async function finish(
  { name, files, pin, template = null }: Finished,
  deps: ShopDeps,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<InstalledModel, ModelError>> {
  const [first] = files;
  if (first === undefined) return err({ kind: "io", path: deps.layout.models, detail: "nothing was fetched" });
  for (const { part, hash, target } of files) {
    const header = await readHeader(part, hash.size, deps.files);
    if (typeof header === "string") return err({ kind: "broken-file", path: target, detail: header });
  }
  const notes: string[] = [];
  const before = parseRecord(await deps.files.readText(recordPath(first.target), MAX_RECORD));
  // Trust on first use: another file under the same name from the same place is a change that a person has to know of.
  const changed =
    before?.pin?.source === pin.source
      ? files.find(({ hash }, index) => (before.files[index]?.sha256 ?? hash.sha256) !== hash.sha256)
      : undefined;
  if (changed && pin.from !== "catalogue" && pin.from !== "import")
    notes.push(`The file is not the one that came from ${pin.source} before: its publisher has changed it.`);
  if (pin.from === "first-download") notes.push(`${pin.source} announces no checksum; the one of this download is now pinned.`);
  if (pin.from === "announced") notes.push("It has the checksum that its source announces, which is now pinned.");

  for (const { part, target, hash } of files) {
    const renamed = await deps.files.rename(part, target);
    if (!renamed.ok) return err(fileError(renamed.error, target));
    await dropState(target, deps.files);
    await deps.files.replaceText(chunksPath(target), formatChunks(hash));
  }
  let record: ModelRecord = {
    ...emptyRecord(files.map(({ target, hash }) => ({ name: basename(target), size: hash.size }))),
    hosts: before?.hosts ?? [],
    template,
    pin: { ...pin, at: deps.now() },
  };
  record = { ...record, files: await seenFiles(record, files, deps) };
  const found = await examine(first.target, { ...deps, fingerprint: deps.host().fingerprint });
  if (found?.state === "ready") {
    const { first: facts, facts: header } = found.model;
    record = { ...record, facts: { size: facts.size, mtimeMs: facts.mtimeMs, header } };
  } else if (found?.state === "broken") notes.push(`It is of no use as it is: ${found.model.detail}.`);
  const total = files.reduce((sum, { hash }) => sum + hash.size, 0);
  if (deps.greet && found?.state === "ready") {
    onProgress({ phase: "check", bytes: total, total, bytesPerSecond: 0, secondsLeft: null, source: "this computer" });
    const source = template === null ? null : await deps.files.readText(join(deps.layout.models, template), MAX_RECORD);
    const greeting = await deps.greet(first.target, source, signal);
    // One that was cut short says nothing about the model.
    if (greeting !== null && !signal.aborted) {
      record = { ...record, greeting: { ...greeting, at: deps.now() } };
      const note = greetingNote(name, greeting.outcome, greeting.detail);
      if (note !== null) notes.push(note);
    }
  }
  const written = await deps.files.replaceText(recordPath(first.target), formatRecord(record));
  if (!written.ok) notes.push("What was learnt about it could not be written beside it.");
  const [only] = files;
  const sha256 = files.length === 1 && only ? only.hash.sha256 : files.map(({ hash }) => hash.sha256).join(",");
  return ok({ name, path: first.target, size: total, sha256, notes });
}

async function seenFiles(record: ModelRecord, files: Finished["files"], deps: ShopDeps): Promise<ModelRecord["files"]> {
  const seen: ModelRecord["files"] = [];
  for (const [index, file] of record.files.entries()) {
    const source = files[index];
    const facts = source ? await deps.files.stat(source.target) : null;
    const samples = source ? await deps.files.sample(source.target) : null;
    seen.push({
      ...file,
      sha256: source?.hash.sha256 ?? null,
      seen: facts && samples !== null ? { mtimeMs: facts.mtimeMs, samples } : null,
    });
  }
  return seen;
}

export function greetingNote(name: string, outcome: Greeting["outcome"], detail: string): string | null {
  switch (outcome) {
    case "ends":
      return null;
    case "no-template":
      return `${name} has no chat template: it is a base model that continues text rather than answers.`;
    case "rambles":
      return `${name} did not end its answer to a greeting within 200 tokens; its template may not suit it. --template FILE gives another.`;
    case "failed":
      return `${name} could not be tried: ${detail}.`;
  }
}
