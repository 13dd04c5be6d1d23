import type { SigningKey } from "../../audit/log.ts";
import type { HeartDossiers } from "../../heart/dossiers.ts";
import type { HeartError } from "../../heart/port.ts";
import type { Millis } from "../../lib/brand.ts";
import { BOTTOM } from "../../lib/label.ts";
import type { Clock, Random } from "../../lib/ports.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { CagePlan } from "../cage/types.ts";
import type { Reply } from "../monitor/monitor.ts";
import type { GrantDesk, GrantOffer, GrantRequest } from "./desk.ts";
import { DAY, type Grant, type GrantCrypto, grantOf, grantText, MOST_DAYS, placeOf, revokedText, useText } from "./grant.ts";
import { type GrantPattern, isProgramOf, matchesPattern, patternOf, patternText, wordsOfCall } from "./pattern.ts";
import { mayBeGranted } from "./rules.ts";

/** What an "always" at a question makes. */
const DAYS = 30;
const USES = 100;
/** Grants that are read; more is no list that anybody keeps in mind. */
const MOST_GRANTS = 500;

export interface GrantLine {
  readonly what: "made" | "used" | "revoked" | "refused";
  readonly grant: string;
  readonly skill: string;
  readonly pattern: string;
  readonly expires: number;
  readonly uses: number;
  readonly by: string;
}

export interface GrantPorts {
  readonly heart: HeartDossiers;
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: GrantCrypto;
  readonly workspace: string;
  /** Whose signature counts: the parent's where the stick has one, else the stick's own. The error is a sentence, and then no grant counts. */
  readonly trusted: () => Result<{ readonly by: "parent" | "stick"; readonly publicKey: Uint8Array }, string>;
  /** The stick's own key; used where there is no parent. */
  readonly stick: () => Result<SigningKey, string>;
  /** Before the grant counts, and before it is used. The error is a sentence. */
  readonly log: (line: GrantLine) => Result<void, string>;
  readonly describe: (error: HeartError) => string;
  /** Of this process alone. */
  readonly allowed: readonly GrantPattern[];
  /** Told to the person. */
  readonly tell: (sentence: string) => void;
}

type Inputs = NonNullable<CagePlan["inputs"]>;

export interface GrantDraft {
  readonly pattern: GrantPattern;
  /** Null: whatever the files that it names hold by then. */
  readonly inputs: Inputs | null;
  readonly days: number;
  readonly uses: number;
}

export interface GrantHolder extends GrantDesk {
  list(): readonly Grant[];
  /** `key`: the parent's where the stick has one. The error is a sentence. */
  add(draft: GrantDraft, key: SigningKey, by: string): Result<string, string>;
  revoke(id: string, by: string): Result<Grant, string>;
}

export function grantHolder(ports: GrantPorts): GrantHolder {
  const { heart, clock, random, crypto } = ports;
  const place = placeOf(ports.workspace, crypto.sha256);
  const key = (): Uint8Array | null => {
    const trusted = ports.trusted();
    return trusted.ok ? trusted.value.publicKey : null;
  };
  const list = (): readonly Grant[] => {
    const signer = key();
    if (signer === null) return [];
    const seen = new Set<string>();
    return heart
      .recent((clock.now() - (MOST_DAYS + 1) * DAY) as Millis, MOST_GRANTS)
      .toReversed()
      .flatMap((dossier) => {
        const grant = grantOf(dossier, nowOf(clock, dossier.opened.at), signer, crypto);
        // The words of one that was revoked, put there once more.
        if (grant === null || seen.has(grant.body.nonce)) return [];
        seen.add(grant.body.nonce);
        return [grant];
      });
  };
  const lineOf = (what: GrantLine["what"], grant: Grant, by: string): GrantLine => ({
    what,
    grant: grant.body.nonce,
    skill: grant.pattern.skill,
    pattern: grant.body.pattern,
    expires: grant.body.expires,
    uses: grant.left,
    by,
  });
  const yes = (by: string): Reply => ({ answer: "allowed", by, reason: null, always: false, question: null });

  const useStanding = (request: GrantRequest): Reply | null => {
    const signer = key();
    if (signer === null) return null;
    for (const grant of list()) {
      if (grant.state !== "good" || grant.body.place !== place || !matchesPattern(grant.pattern, request)) continue;
      if (!sameInputs(grant.body.inputs, request)) continue;
      const by = `grant ${grant.body.nonce.slice(0, 8)}`;
      const logged = ports.log({ ...lineOf("used", grant, by), uses: grant.left - 1 });
      if (!logged.ok) return null;
      // Once more in the very transaction: two processes may be at its last use.
      const used = heart.note(grant.id, useText, (dossier, at) => grantOf(dossier, at, signer, crypto)?.state === "good");
      if (used.ok && used.value !== null) return yes(by);
    }
    return null;
  };

  const add = (draft: GrantDraft, signing: SigningKey, by: string): Result<string, string> => {
    const pattern = patternText(draft.pattern);
    const expires = clock.now() + Math.min(draft.days, MOST_DAYS) * DAY;
    const nonce = random.bytes(16).toHex();
    const inputs = draft.inputs === null ? null : [...draft.inputs];
    const body = grantText({ pattern, place, inputs, expires, uses: draft.uses, nonce }, signing);
    const logged = ports.log({ what: "made", grant: nonce, skill: draft.pattern.skill, pattern, expires, uses: draft.uses, by });
    if (!logged.ok) return err(`No grant was made, because it could not be written to the log: ${logged.error}`);
    const opened = heart.open(body, BOTTOM);
    return opened.ok ? ok(nonce) : err(`No grant was made: ${ports.describe(opened.error)}`);
  };

  return {
    list,
    add,
    use(request) {
      if (!mayBeGranted(request)) return null;
      const allowed = ports.allowed.find((pattern) => matchesPattern(pattern, request));
      if (allowed === undefined) return useStanding(request);
      const pattern = patternText(allowed);
      const logged = ports.log({ what: "used", grant: "--allow", skill: request.skill, pattern, expires: 0, uses: 0, by: "--allow" });
      return logged.ok ? yes("--allow") : null;
    },
    offer(request): GrantOffer | null {
      if (!mayBeGranted(request)) return null;
      const pattern = patternOf(request);
      if (pattern === null) return null;
      const trusted = ports.trusted();
      if (!trusted.ok) return null;
      const lines = trusted.value.by === "parent" ? null : grantLines({ pattern, inputs: inputsOf(request), days: DAYS, uses: USES });
      return { pattern: patternText(pattern), lines };
    },
    make(request, by) {
      const offer = this.offer(request);
      const pattern = patternOf(request);
      const trusted = ports.trusted();
      if (offer === null || offer.lines === null || pattern === null || !trusted.ok || trusted.value.by === "parent") return;
      const stick = ports.stick();
      const made = stick.ok ? add({ pattern, inputs: inputsOf(request), days: DAYS, uses: USES }, stick.value, by) : stick;
      ports.tell(
        made.ok
          ? `From now on this is allowed unasked: ${patternText(pattern)} (noctem approvals grants revoke ${made.value.slice(0, 8)} ends it).`
          : made.error,
      );
    },
    revoke(id, by) {
      const found = list().filter((grant) => grant.body.nonce.startsWith(id));
      const [grant] = found;
      if (grant === undefined || found.length > 1)
        return err(grant === undefined ? `There is no grant ${id}.` : `Several grants begin with ${id}; give more of its name.`);
      const logged = ports.log(lineOf("revoked", grant, by));
      // Written or not: an end is better than no end.
      const noted = heart.note(grant.id, revokedText(by), () => true);
      if (!noted.ok) return err(`It could not be revoked: ${ports.describe(noted.error)}`);
      if (!logged.ok) ports.tell(`This could not be written to the log: ${logged.error}`);
      return ok(grant);
    },
  };
}

/** All that a grant says, for whoever confirms it. */
export const grantLines = ({ pattern, inputs, days, uses }: GrantDraft): readonly string[] => [
  "This would be allowed from now on without a question, in this folder alone:",
  `  ${patternText(pattern)}`,
  ...(pattern.words.some((word) => word.length > 1)
    ? ["  (a star stands for one plain piece of a name, never for an option or another folder)"]
    : []),
  ...(inputs === null ? ["  whatever the files that it names hold by then"] : []),
  ...(inputs ?? []).map(
    ({ path, sha256 }) => `  as long as ${JSON.stringify(path)} stays what it is now (SHA-256 ${sha256.slice(0, 16)}…)`,
  ),
  `  for ${days} days, ${uses} times at most. Never where text from outside is in the conversation.`,
];

const inputsOf = ({ prepared }: GrantRequest): Inputs => (prepared.effect.kind === "process" ? (prepared.effect.plan.inputs ?? []) : []);

/**
 * Each file as it was. One that is there now and was not then may be what the command made last time; but never a program, or what a program goes by.
 */
function sameInputs(granted: Inputs | null, request: GrantRequest): boolean {
  if (granted === null) return true;
  const now = inputsOf(request);
  const isKept = ({ path, sha256 }: Inputs[number]): boolean => now.some((input) => input.path === path && input.sha256 === sha256);
  const appeared = now.filter(({ path }) => !granted.some((input) => input.path === path));
  const words = (wordsOfCall(request) ?? []).map(({ text }) => text);
  return granted.every(isKept) && !appeared.some(({ path }) => isProgramOf(words, path));
}

/** A clock that was set back lengthens nothing: what is there was made by now at the latest. */
const nowOf = (clock: Clock, madeAt: Millis): Millis => (clock.now() > madeAt ? clock.now() : madeAt);
