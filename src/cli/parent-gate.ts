import { readFileSync } from "node:fs";
import type { StickLayout } from "../config/layout.ts";
import type { OpenHeart } from "../heart/open.ts";
import { PARENT_STATE } from "../heart/state.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { stickKey } from "../platform/audit-crypto.ts";
import { heartDeps } from "../platform/heart.ts";
import { nativeRoots, unsafe } from "../platform/native/roots.ts";
import { type DoorFailure, type ParentDoor, parentDoor, UNLOCK_MINUTES } from "../platform/parent-door.ts";
import { publicLine, readParentPublic } from "../platform/parent-key.ts";
import { secretFromTerminal } from "../platform/secret-input.ts";
import type { CommandIo } from "./command.ts";

/** The door of this stick, on this computer. */
export function doorOf(
  { keys, parentKey, parentSecret }: StickLayout,
  heart: Pick<OpenHeart, "id" | "state">,
  io: Pick<CommandIo, "env" | "program">,
): ParentDoor {
  const { clock } = heartDeps();
  // In memory, where there is a place in memory that nobody else can change: an open door must not outlive the login.
  const runtime = nativeRoots({ ...io.env, XDG_CACHE_HOME: undefined, HOME: undefined }, io.program).find(
    ({ path, stick }) => !stick && unsafe(path) === null,
  );
  return parentDoor({
    keys,
    parentKey,
    parentSecret,
    runtime: runtime?.path ?? keys,
    heart: heart.id,
    expected: () => heart.state.get(PARENT_STATE),
    stick: () => stickKey(keys, heart.id),
    now: () => clock.now(),
    uptime: () => Number.parseFloat(readFileSync("/proc/uptime", "utf8")),
    boot: () => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
  });
}

/** The heart keeps who its parent is, from the first time that it meets the file on: a parent is not gone because a file is. The line when it is news, else null. */
export function rememberParent({ parentKey }: StickLayout, heart: Pick<OpenHeart, "mode" | "state">): string | null {
  if (heart.mode.kind !== "stored" || heart.state.get(PARENT_STATE) !== null) return null;
  const key = readParentPublic(parentKey);
  if (!key.ok || key.value === null) return null;
  const line = publicLine(key.value).trim();
  return heart.state.set(PARENT_STATE, line).ok ? line : null;
}

/** Whoever wants to approve something of tier 3 passes here. */
export interface ParentGate {
  /** Whether a parent's word is needed for a call of this tier. */
  needs(tier: number): boolean;
  /** There is a parent, and the door is not open. */
  locked(): boolean;
  /** Asks for it where it was not given within minutes; the value is who, for the log, the error a sentence. */
  pass(): Promise<Result<"parent", string>>;
  /** Whether a yes by this person counts for a call of this tier. */
  honours(by: string, tier: number): boolean;
}

const MOST_ASKED = 3;

export function parentGate(door: ParentDoor, io: CommandIo, log: (what: string, detail: string) => Result<void, string>): ParentGate {
  /** Of this process, by a clock that only goes on. */
  let until = Number.NEGATIVE_INFINITY;
  const { clock } = heartDeps();
  return {
    needs: (tier) => tier >= 3 && door.state().kind !== "no-parent",
    locked() {
      const { kind } = door.state();
      return kind === "locked" || kind === "broken";
    },
    honours: (by, tier) => tier < 3 || door.state().kind === "no-parent" || by === "parent",
    async pass() {
      const state = door.state();
      if (state.kind === "no-parent") return err("This stick has no parent.");
      if (state.kind === "broken") return err(state.detail);
      if (state.kind === "unlocked" || clock.monotonic() < until) return ok("parent");
      if (state.ways.length === 0) return err(doorText({ kind: "no-way" }));
      for (let asked = 0; asked < MOST_ASKED; asked++) {
        await io.flushed();
        const secret = await secretFromTerminal(`This needs the parent: ${waysText(state.ways)}: `, io.err, io.signal);
        if (secret === null) return err("The parent said nothing.");
        const tried = await door.try(secret);
        const logged = log(tried.ok ? "unlocked" : "refused", tried.ok ? `by ${tried.value}` : tried.error.kind);
        if (!logged.ok) return logged;
        if (tried.ok) {
          until = clock.monotonic() + UNLOCK_MINUTES.usual * 60_000;
          return ok("parent");
        }
        if (tried.error.kind !== "wrong") return err(doorText(tried.error));
        io.err(`noctem: ${doorText(tried.error)}\n`);
      }
      return err("The parent's word was not given.");
    },
  };
}

const waysText = (ways: readonly ("pin" | "passphrase")[]): string =>
  ways.length === 2 ? "PIN or passphrase" : ways[0] === "pin" ? "PIN" : "passphrase";

export function doorText(failure: DoorFailure): string {
  switch (failure.kind) {
    case "wrong":
      return `That is not it. ${failure.triesLeft === 0 ? "The PIN is dead now; only the passphrase is left." : `${failure.triesLeft} more, and the PIN is dead.`}`;
    case "wait":
      return `There were wrong tries: the next one counts in ${failure.seconds} s.`;
    case "pin-dead":
      return "There were too many wrong tries: the PIN is dead. The parent sets a new one with noctem parent pin.";
    case "no-way":
      return "The parent's key is not on this stick, and there is no PIN. The parent sets one with noctem parent pin --key FILE.";
    case "broken":
      return failure.detail;
  }
}
