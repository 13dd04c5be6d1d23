import type { AuditEntry } from "../audit/entry.ts";
import { parseEntry } from "../audit/entry.ts";
import { questions } from "../bark/asking/decide.ts";
import { overlayBytes } from "../bark/policy/overlay.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { OpenHeart } from "../heart/open.ts";
import { millisOf, type Hlc } from "../heart/hlc.ts";
import { resolve } from "node:path";
import { err } from "../lib/result.ts";
import { heartDeps } from "../platform/heart.ts";
import { exact } from "../lib/exact.ts";
import { LEAST_PIN, UNLOCK_MINUTES } from "../platform/parent-door.ts";
import { readSmallFile, replaceFile } from "../platform/settings-file.ts";
import { type AnsweringDesk, answeringDesk } from "./approvals-run.ts";
import { auditFailureText } from "./audit-desk.ts";
import { effectivePolicy, memoryFault, newestIssued, rememberOverlay } from "./bark-policy-run.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { doorOf, doorText } from "./parent-gate.ts";
import { failWith, type ParentArguments } from "./parent-run.ts";
import { unlockedParent } from "./parent-unlocked.ts";
import { readSecret } from "./secret.ts";
import { localTime } from "./time-text.ts";

type WithKey = ParentArguments & { readonly key: string | undefined; readonly "passphrase-fd": number | undefined };

/** A PIN needs the parent's key, and the key its passphrase: so nobody else sets one. */
export async function setPin(args: WithKey & { readonly "pin-fd": number | undefined }, io: CommandIo): Promise<number> {
  return await withDesk(args, io, async (desk) => {
    const key = await unlockedParent(desk, { key: args.key, fd: args["passphrase-fd"] }, io);
    if (!key.ok) return failWith(key.error, args.json, io);
    const pin = await readSecret(io, { fd: args["pin-fd"], what: "new PIN", twice: true });
    if (!pin.ok) return failWith(pin.error, args.json, io);
    if (pin.value.length < LEAST_PIN)
      return failWith({ text: `A PIN has at least ${LEAST_PIN} characters. Nothing was changed.`, code: ExitCode.USAGE }, args.json, io);
    const logged = desk.log.parent({ what: "pin", detail: "set" });
    if (!logged.ok) return failWith({ text: auditFailureText(logged.error), code: ExitCode.HEART }, args.json, io);
    const set = await doorOf(desk.layout, desk.heart, io).setPin(key.value, pin.value);
    if (!set.ok) return failWith({ text: set.error, code: ExitCode.NO_ROOM }, args.json, io);
    io.out(args.json ? `${JSON.stringify({ pin: "set" })}\n` : "The PIN is set. It approves for minutes; it never opens the key.\n");
    return ExitCode.DONE;
  });
}

export async function unlock(
  args: ParentArguments & { readonly "passphrase-fd": number | undefined; readonly minutes: number | undefined },
  io: CommandIo,
): Promise<number> {
  return await withDesk(args, io, async (desk) => {
    const door = doorOf(desk.layout, desk.heart, io);
    const state = door.state();
    if (state.kind === "no-parent")
      return failWith({ text: "This stick has no parent: noctem parent keygen makes one.", code: ExitCode.USAGE }, args.json, io);
    if (state.kind === "broken") return failWith({ text: state.detail, code: ExitCode.DENIED }, args.json, io);
    const secret = await readSecret(io, { fd: args["passphrase-fd"], what: "PIN or passphrase of the parent", twice: false });
    if (!secret.ok) return failWith(secret.error, args.json, io);
    const tried = await door.try(secret.value);
    const logged = desk.log.parent({ what: tried.ok ? "unlocked" : "refused", detail: tried.ok ? `by ${tried.value}` : tried.error.kind });
    if (!logged.ok) return failWith({ text: auditFailureText(logged.error), code: ExitCode.HEART }, args.json, io);
    if (!tried.ok) {
      desk.heart.incidents.count("parent.refused", 2, tried.error.kind);
      return failWith({ text: doorText(tried.error), code: ExitCode.DENIED }, args.json, io);
    }
    const minutes = args.minutes ?? UNLOCK_MINUTES.usual;
    const opened = door.open(minutes);
    if (!opened.ok) return failWith({ text: opened.error, code: ExitCode.NO_ROOM }, args.json, io);
    io.out(
      args.json
        ? `${JSON.stringify({ unlocked: minutes })}\n`
        : `Open for ${minutes} minutes on this computer. noctem parent lock ends it.\n`,
    );
    return ExitCode.DONE;
  });
}

export async function lock(args: ParentArguments, io: CommandIo): Promise<number> {
  return await withDesk(args, io, (desk) => {
    doorOf(desk.layout, desk.heart, io).lock();
    const logged = desk.log.parent({ what: "locked", detail: "" });
    if (!logged.ok) io.err(`noctem: Locked; but this could not be written to the log: ${auditFailureText(logged.error)}\n`);
    io.out(args.json ? `${JSON.stringify({ locked: true })}\n` : "Locked.\n");
    return Promise.resolve(ExitCode.DONE);
  });
}

/** Entries that concern the parent: what was asked and answered, granted, refused, and what happened to the key. As they stand in the log; whether it is sound is for audit verify. */
export async function history(args: ParentArguments & { readonly limit: number | undefined }, io: CommandIo): Promise<number> {
  return await withDesk(args, io, ({ heart }) => {
    const found = concerning(heart).slice(0, args.limit ?? 30);
    if (args.json) io.out(`${JSON.stringify({ history: found })}\n`);
    else if (found.length === 0) io.err("noctem: There is nothing yet.\n");
    else for (const entry of found) io.out(`${localTime(millisOf(entry.hlc as Hlc))}  ${exact(sentence(entry))}\n`);
    return Promise.resolve(ExitCode.DONE);
  });
}

type Concerning = Extract<AuditEntry, { kind: "approval" | "grant" | "parent" | "incident" | "key" }>;
const CONCERNING = new Set(["approval", "grant", "parent", "incident", "key"]);

function concerning(heart: OpenHeart): readonly Concerning[] {
  const all = heart.audit.checkpoints().flatMap(({ session }) => heart.audit.leaves(session).flatMap((leaf) => parseEntry(leaf) ?? []));
  return all.filter((entry): entry is Concerning => CONCERNING.has(entry.kind)).toSorted((a, b) => b.hlc - a.hlc);
}

function sentence(entry: Concerning): string {
  switch (entry.kind) {
    case "approval":
      return `a question was ${entry.answer} by ${entry.by}${entry.waited === undefined ? "" : ` after ${Math.round(entry.waited / 1000)} s`}`;
    case "grant":
      return `grant ${entry.grant.slice(0, 8)} ${entry.what} by ${entry.by}: ${entry.pattern}`;
    case "parent":
      return `parent: ${entry.what}${entry.detail === "" ? "" : ` (${entry.detail})`}`;
    case "incident":
      return `incident of severity ${entry.severity}: ${entry.what}: ${entry.detail}`;
    case "key":
      return `a key was used: ${entry.use}`;
  }
}

/** What a parent looks at first. Ends with 9 where something of it needs them. */
export async function health(args: ParentArguments, io: CommandIo): Promise<number> {
  return await withDesk(args, io, ({ layout, heart, deciding }) => {
    const door = doorOf(layout, heart, io);
    const state = door.state();
    const laid = effectivePolicy(layout);
    const missing = laid.ok ? memoryFault(layout, heart, laid.value) : null;
    const policy = missing === null ? laid : err([missing.detail]);
    const incidents = heart.incidents.list().filter(({ severity, count, acknowledged }) => severity >= 3 && count > acknowledged);
    const waiting = questions(deciding, 200).filter((question) => question.state.kind === "open").length;
    const { wrong } = door.tries();
    const key = door.parent();
    const facts: readonly (readonly [name: string, good: boolean, text: string])[] = [
      ["parent", key.ok && key.value !== null, !key.ok ? key.error : key.value === null ? "none is set" : "set"],
      [
        "door",
        state.kind !== "broken",
        state.kind === "unlocked"
          ? `open for ${Math.ceil(state.left / 60)} more minutes`
          : state.kind === "broken"
            ? state.detail
            : state.kind,
      ],
      ["tries", wrong < 3, wrong === 0 ? "none was wrong" : `${wrong} wrong since the last right one`],
      [
        "policy",
        policy.ok,
        policy.ok
          ? policy.value.overlay === null
            ? "the program's own"
            : "with the parent's over it"
          : (policy.error[0] ?? "cannot be used"),
      ],
      [
        "incidents",
        incidents.length === 0,
        incidents.length === 0 ? "none that nobody has seen" : incidents.map(({ kind, count }) => `${kind} ${count}×`).join(", "),
      ],
      ["questions", true, waiting === 0 ? "none waits" : `${waiting} wait`],
    ];
    if (args.json) io.out(`${JSON.stringify({ health: facts.map(([name, good, text]) => ({ name, good, text })) })}\n`);
    else for (const [name, good, text] of facts) io.out(`${good ? "✓" : "!"} ${name.padEnd(10)} ${forTerminal(text)}\n`);
    return Promise.resolve(facts.every(([, good]) => good) ? ExitCode.DONE : ExitCode.DENIED);
  });
}

/** An overlay of the policy in the form that the stick takes, signed with the parent's key. */
export async function signPolicy(
  args: WithKey & { readonly file: string; readonly out: string | undefined },
  io: CommandIo,
): Promise<number> {
  return await withDesk(args, io, async (desk) => {
    const path = resolve(io.cwd, args.file);
    const text = readSmallFile(path, 1 << 20);
    if (!text.ok || text.value === null) return failWith({ text: `${path} cannot be read.`, code: ExitCode.USAGE }, args.json, io);
    let overlay: unknown;
    let bytes: Uint8Array;
    try {
      overlay = dated(JSON.parse(text.value), Math.max(heartDeps().clock.now(), newestIssued(desk.heart.state) + 1));
      bytes = overlayBytes(overlay);
    } catch {
      return failWith({ text: `${path} is no JSON that can be signed.`, code: ExitCode.USAGE }, args.json, io);
    }
    const key = await unlockedParent(desk, { key: args.key, fd: args["passphrase-fd"] }, io);
    if (!key.ok) return failWith(key.error, args.json, io);
    const target = args.out === undefined ? desk.layout.policy : resolve(io.cwd, args.out);
    const written = replaceFile(target, `${JSON.stringify({ overlay, signature: key.value.sign(bytes).toHex() }, null, 2)}\n`);
    if (!written.ok) return failWith({ text: `${target} cannot be written.`, code: ExitCode.NO_ROOM }, args.json, io);
    // Signed, whatever it says: whether it can be used is told right away.
    const usable = effectivePolicy(desk.layout);
    if (target === desk.layout.policy && !usable.ok)
      return failWith(
        { text: `Signed, but it cannot be used: ${usable.error[0] ?? ""} No skill runs until it is mended.`, code: ExitCode.USAGE },
        args.json,
        io,
      );
    if (target === desk.layout.policy && usable.ok) rememberOverlay(desk.heart, usable.value);
    io.out(args.json ? `${JSON.stringify({ policy: target })}\n` : `${forTerminal(target)} is signed.\n`);
    return ExitCode.DONE;
  });
}

/** With when it was signed, by which it takes the place of every one before. */
const dated = (overlay: unknown, issued: number): unknown =>
  typeof overlay === "object" && overlay !== null && !Array.isArray(overlay) ? { ...overlay, issued } : overlay;

async function withDesk(args: ParentArguments, io: CommandIo, work: (desk: AnsweringDesk) => Promise<number>): Promise<number> {
  const made = answeringDesk(args.heart, io);
  if (!made.ok) return failWith(made.error, args.json, io);
  using desk = made.value;
  return await work(desk);
}
