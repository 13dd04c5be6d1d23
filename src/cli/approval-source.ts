import { questions, takeAnswer, wishRehearsal } from "../bark/asking/decide.ts";
import type { Question } from "../bark/asking/record.ts";
import type { StickLayout } from "../config/layout.ts";
import { HeartFailure } from "../heart/failure.ts";
import type { OpenHeart } from "../heart/open.ts";
import { heartDeps } from "../platform/heart.ts";
import { UNLOCK_MINUTES } from "../platform/parent-door.ts";
import type { ApprovalAnswer, ApprovalSource } from "../session/approvals.ts";
import { decidingOf, stateText } from "./approvals-run.ts";
import { auditFailureText } from "./audit-desk.ts";
import type { CommandIo } from "./command.ts";
import { heartErrorText } from "./error-text.ts";
import { doorOf, doorText, rememberParent } from "./parent-gate.ts";

/** Questions that are looked at, and shown, at a time. */
const MOST_READ = 64;
const MOST_SHOWN = 32;

/** The heart's questions for whoever sits in the chat. `heart`: the one that is open now. */
export function approvalSource(
  layout: StickLayout,
  heart: () => OpenHeart,
  io: CommandIo,
): ApprovalSource & { readonly locked: () => boolean } {
  const { clock } = heartDeps();
  rememberParent(layout, heart());
  let of = heart();
  let made = decidingOf(layout, of);
  let seen = -1;
  let last: readonly Question[] = [];
  const deciding = (): typeof made => {
    if (of === heart()) return made;
    of = heart();
    seen = -1;
    made = decidingOf(layout, of);
    return made;
  };
  const door = () => doorOf(layout, heart(), io);
  /** The parent was here, in this process: by a clock that only goes on. */
  let until = Number.NEGATIVE_INFINITY;
  const isHere = (): boolean => clock.monotonic() < until;
  const isParents = (tier: number): boolean => tier >= 3 && !isHere() && door().state().kind === "locked";
  const read = (): readonly Question[] => {
    const { deciding: ports } = deciding();
    const version = heart().version();
    // Nothing was written: the questions are those of before, and only their time went on.
    if (version !== seen) last = questions(ports, MOST_READ);
    seen = version;
    return last.filter(({ state, pending }) => state.kind === "open" && pending.expires > clock.now());
  };
  return {
    locked: () => !isHere() && ["locked", "broken"].includes(door().state().kind),
    waiting() {
      try {
        const open = read().toReversed().slice(0, MOST_SHOWN);
        if (open.length === 0) return [];
        const parents = isParents(3);
        return open.map(({ id, digest, pending, rehearsal, rehearsals }) => ({
          id,
          digest,
          skill: pending.skill,
          tier: pending.tier,
          lines: pending.lines,
          rehearsal,
          mayRehearse: pending.mayRehearse && rehearsals < 5,
          needsParent: parents && pending.tier >= 3,
          secondsLeft: Math.max(0, Math.ceil((pending.expires - clock.now()) / 1000)),
        }));
      } catch (error) {
        // The stick is gone, or the file is locked: the session says so itself.
        if (error instanceof HeartFailure) return [];
        throw error;
      }
    },
    async answer(given) {
      try {
        return await answerTo(given);
      } catch (error) {
        if (error instanceof HeartFailure) return `Nothing was decided: ${heartErrorText(error.error).text}`;
        throw error;
      }
    },
    rehearse(id) {
      try {
        const wished = wishRehearsal(deciding().deciding, id);
        seen = -1;
        return wished;
      } catch (error) {
        if (error instanceof HeartFailure) return false;
        throw error;
      }
    },
  };

  async function answerTo({ id, digest, answer, secret, reason }: ApprovalAnswer): Promise<string | null> {
    const { deciding: ports, log } = deciding();
    const question = questions(ports, MOST_READ).find((one) => one.id === id);
    if (question === undefined) return "The question is not there any more.";
    let by = "console";
    if (answer === "allowed" && question.pending.tier >= 3) {
      const state = door().state();
      if (state.kind === "broken") return state.detail;
      if (state.kind === "unlocked" || (state.kind === "locked" && isHere())) by = "parent";
      else if (state.kind === "locked") {
        const tried = await door().try(secret ?? "");
        const logged = log.parent({ what: tried.ok ? "unlocked" : "refused", detail: tried.ok ? `by ${tried.value}` : tried.error.kind });
        if (!logged.ok) return `Nothing was decided, because it could not be written to the log: ${auditFailureText(logged.error)}`;
        if (!tried.ok) {
          heart().incidents.count("parent.refused", 2, tried.error.kind);
          return `Nothing was decided. ${doorText(tried.error)}`;
        }
        until = clock.monotonic() + UNLOCK_MINUTES.usual * 60_000;
        by = "parent";
      }
    }
    const taken = takeAnswer(ports, id, { answer, digest, by, reason });
    seen = -1;
    switch (taken.kind) {
      case "taken":
        return null;
      case "settled":
        return `You are too late: it is settled (${stateText(taken.question)}).`;
      case "gone":
        return "The question is not there any more.";
      case "other":
        return "The question is not what was shown. Nothing was decided.";
      case "failed":
        return taken.detail;
    }
  }
}
