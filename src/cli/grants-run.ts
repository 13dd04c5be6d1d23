import type { Grant } from "../bark/grants/grant.ts";
import { type GrantHolder, grantLines } from "../bark/grants/holder.ts";
import { parsePattern } from "../bark/grants/pattern.ts";
import type { SigningKey } from "../audit/log.ts";
import type { Explained } from "../headless/result-object.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { exactName } from "../lib/exact.ts";
import { askOnTerminal } from "../platform/approval-terminal.ts";
import { stickKey } from "../platform/audit-crypto.ts";
import { grantsOf } from "./approval-desk.ts";
import { type AnsweringDesk, answeringDesk } from "./approvals-run.ts";
import { workspaceFor } from "./bark-desk.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { doorOf } from "./parent-gate.ts";
import { failWith } from "./parent-run.ts";
import { unlockedParent } from "./parent-unlocked.ts";
import { localTime } from "./time-text.ts";

interface GrantArguments {
  readonly json: boolean | undefined;
  readonly heart: string | undefined;
  readonly workspace: string | undefined;
}

/** What an own grant says where nothing else is asked for. */
const DAYS = 30;
const USES = 100;

export function listGrants(args: GrantArguments, io: CommandIo): number {
  const made = grantDesk(args, io);
  if (!made.ok) return failWith(made.error, args.json, io);
  using desk = made.value;
  const all = desk.grants.list().toReversed();
  if (args.json) io.out(`${JSON.stringify({ grants: all.map(grantJson) })}\n`);
  else if (all.length === 0) io.err("noctem: Nothing is allowed for good.\n");
  else
    for (const { body, state, left } of all)
      io.out(
        `${body.nonce.slice(0, 8)}  ${state === "good" ? `until ${localTime(body.expires)}, ${left} uses left` : state}  ${exactName(body.pattern)}\n`,
      );
  return ExitCode.DONE;
}

export async function addGrant(
  args: GrantArguments & {
    readonly pattern: string;
    readonly key: string | undefined;
    readonly days: number | undefined;
    readonly uses: number | undefined;
    readonly "passphrase-fd": number | undefined;
  },
  io: CommandIo,
): Promise<number> {
  const { json } = args;
  const pattern = parsePattern(args.pattern);
  if (!pattern.ok) return failWith({ text: pattern.error, code: ExitCode.USAGE }, json, io);
  if (!io.stdinIsTerminal || !io.stderrIsTerminal)
    return failWith(
      { text: "A grant is shown and then confirmed on a terminal; no option does that.", code: ExitCode.NO_APPROVAL },
      json,
      io,
    );
  const made = grantDesk(args, io);
  if (!made.ok) return failWith(made.error, json, io);
  using desk = made.value;
  const draft = { pattern: pattern.value, inputs: null, days: args.days ?? DAYS, uses: args.uses ?? USES };
  await io.flushed();
  const asked = await askOnTerminal(
    [...grantLines(draft).map(exactName), "Type always to make it so, no to leave it."],
    { mayRehearse: false, mayAlways: true },
    io.err,
    io.signal,
  );
  if (asked.answer !== "always") return failWith({ text: "No grant was made.", code: ExitCode.DENIED }, json, io);
  const key = await signerOf(desk, args, io);
  if (!key.ok) return failWith(key.error, json, io);
  const added = desk.grants.add(draft, key.value.key, key.value.by);
  if (!added.ok) return failWith({ text: added.error, code: ExitCode.HEART }, json, io);
  io.out(json ? `${JSON.stringify({ grant: added.value })}\n` : `${added.value.slice(0, 8)} holds from now on.\n`);
  return ExitCode.DONE;
}

export function revokeGrant(args: GrantArguments & { readonly id: string }, io: CommandIo): number {
  const made = grantDesk(args, io);
  if (!made.ok) return failWith(made.error, args.json, io);
  using desk = made.value;
  const revoked = desk.grants.revoke(args.id, "console");
  if (!revoked.ok) return failWith({ text: revoked.error, code: ExitCode.USAGE }, args.json, io);
  const { nonce, pattern } = revoked.value.body;
  io.out(args.json ? `${JSON.stringify({ revoked: nonce })}\n` : `${nonce.slice(0, 8)} is over: ${exactName(pattern)}\n`);
  return ExitCode.DONE;
}

interface GrantsDesk extends AnsweringDesk {
  readonly grants: GrantHolder;
}

function grantDesk(args: GrantArguments, io: CommandIo): Result<GrantsDesk, Explained> {
  const made = answeringDesk(args.heart, io);
  if (!made.ok) return made;
  const desk = made.value;
  const workspace = workspaceFor(args, desk.layout, io);
  if (!workspace.ok) {
    desk[Symbol.dispose]();
    return workspace;
  }
  const grants = grantsOf({ ...desk, io, workspace: workspace.value }, []);
  return ok({ ...desk, grants, [Symbol.dispose]: () => desk[Symbol.dispose]() });
}

/** The parent's key where there is a parent, else the stick's. */
async function signerOf(
  { layout, heart, log }: AnsweringDesk,
  { key, "passphrase-fd": fd }: { readonly key: string | undefined; readonly "passphrase-fd": number | undefined },
  io: CommandIo,
): Promise<Result<{ readonly key: SigningKey; readonly by: string }, Explained>> {
  const parent = doorOf(layout, heart, io).parent();
  if (!parent.ok) return err({ text: parent.error, code: ExitCode.DENIED });
  if (parent.value !== null) {
    const opened = await unlockedParent({ layout, log }, { key, fd }, io);
    return opened.ok ? ok({ key: opened.value, by: "parent" }) : opened;
  }
  const stick = stickKey(layout.keys, heart.id);
  return stick.ok ? ok({ key: stick.value, by: "console" }) : err({ text: stick.error, code: ExitCode.HEART });
}

const grantJson = ({ body, state, left, madeAt }: Grant): object => {
  const { nonce, pattern, place, inputs, expires, uses } = body;
  return { grant: nonce, pattern, place, inputs, madeAt, expires, uses, left, state };
};
