import * as v from "valibot";
import { forTerminal } from "../headless/terminal-text.ts";
import type { Millis } from "../lib/brand.ts";
import { type BarkArguments, stepsOf, workspaceFor } from "./bark-desk.ts";
import type { CommandIo } from "./command.ts";
import { heartErrorText } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";
import { openStickHeart } from "./heart-access.ts";
import { heartExists, stickOf } from "./stick.ts";
import { localTime } from "./time-text.ts";
import { exact } from "../lib/exact.ts";

/** Records that are looked through for `limit` that have something blocked. */
const LOOKED_AT = 2000;
const LIMIT = 20;

const OutcomeSchema = v.object({
  status: v.string(),
  blocked: v.array(v.strictObject({ what: v.string(), rule: v.string(), reason: v.string(), instead: v.nullable(v.string()) })),
});

export function listBlocked(args: BarkArguments & { readonly limit: number | undefined }, io: CommandIo): number {
  const layout = stickOf(io, args.heart);
  const found: {
    readonly at: Millis;
    readonly what: string;
    readonly rule: string;
    readonly reason: string;
    readonly instead: string | null;
  }[] = [];
  if (heartExists(layout)) {
    const opened = openStickHeart(layout);
    if (!opened.ok) {
      const { text, code } = heartErrorText(opened.error);
      io.err(`noctem: ${forTerminal(text)}\n`);
      return code;
    }
    using heart = opened.value;
    for (const { at, body } of heart.entries.recent("skill", LOOKED_AT)) {
      const outcome = body === null ? null : parsed(body);
      for (const blocked of outcome?.blocked ?? []) if (found.length < (args.limit ?? LIMIT)) found.push({ at, ...blocked });
    }
  }
  if (args.json) io.out(`${JSON.stringify({ blocked: found })}\n`);
  else if (found.length === 0) io.err("noctem: Nothing was blocked.\n");
  else
    for (const { at, what, rule, reason, instead } of found)
      io.out(`${localTime(at)}  ${exact(what)}\n    ${rule}: ${forTerminal(reason)}${instead === null ? "" : ` ${instead}`}\n`);
  return ExitCode.DONE;
}

function parsed(body: string): v.InferOutput<typeof OutcomeSchema> | null {
  try {
    const result = v.safeParse(OutcomeSchema, JSON.parse(body));
    return result.success ? result.output : null;
  } catch {
    return null;
  }
}

export async function undoStep(
  args: BarkArguments & { readonly step: string | undefined; readonly list: boolean | undefined },
  io: CommandIo,
): Promise<number> {
  const layout = stickOf(io, args.heart);
  const workspace = workspaceFor(args, layout, io);
  const fail = (text: string, code: number): number => {
    if (args.json) io.out(`${JSON.stringify({ error: { message: text, code } })}\n`);
    io.err(`noctem: ${forTerminal(text)}\n`);
    return code;
  };
  if (!workspace.ok) return fail(workspace.error.text, workspace.error.code);
  const steps = stepsOf(layout);
  for (const sentence of steps.recover()) io.err(`noctem: ${forTerminal(sentence)}\n`);
  if (args.list) {
    const all = steps.list(workspace.value);
    if (args.json) io.out(`${JSON.stringify({ steps: all })}\n`);
    else if (all.length === 0) io.err("noctem: No call changed anything here.\n");
    else
      for (const { step, at, label, paths } of all) {
        const names = paths.slice(0, 5).map(exact).join(", ");
        io.out(`${step}  ${localTime(at)}  ${label}: ${names}${paths.length > 5 ? ` and ${paths.length - 5} more` : ""}\n`);
      }
    return ExitCode.DONE;
  }
  const undone = await steps.undo(workspace.value, args.step ?? null);
  if (!undone.ok) {
    switch (undone.error.kind) {
      case "nothing":
        return fail(
          args.step === undefined ? "There is nothing to take back here." : `There is no step ${args.step} here.`,
          ExitCode.USAGE,
        );
      case "changed":
        return fail(`Nothing was taken back: ${undone.error.paths.map(exact).join(", ")} changed since.`, ExitCode.DENIED);
      default:
        return fail(`Nothing was taken back: ${undone.error.detail}`, ExitCode.NO_ROOM);
    }
  }
  const { applied } = undone.value;
  io.out(args.json ? `${JSON.stringify({ restored: applied })}\n` : `Taken back: ${applied.map(exact).join(", ")}.\n`);
  return ExitCode.DONE;
}
