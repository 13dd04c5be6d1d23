import { findForks, type Fork } from "../audit/forks.ts";
import { openAuditFile } from "../heart/audit-file.ts";
import { HeartFailure } from "../heart/failure.ts";
import type { OpenHeart } from "../heart/open.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { heartDeps } from "../platform/heart.ts";
import { auditFailureText, stickLog } from "./audit-desk.ts";
import { heartErrorText } from "./error-text.ts";

/** Before a merge, because a merge lets one of two checkpoints win. What cannot be read is told by the merge itself. */
export function forksBetween(own: string, other: string): readonly Fork[] {
  const [here, there] = [openAuditFile(heartDeps(), own), openAuditFile(heartDeps(), other)];
  try {
    return here.ok && there.ok && here.value.heart === there.value.heart ? findForks(here.value, there.value, auditCrypto) : [];
  } catch (error) {
    if (error instanceof HeartFailure) return [];
    throw error;
  } finally {
    if (here.ok) here.value[Symbol.dispose]();
    if (there.ok) there.value[Symbol.dispose]();
  }
}

/** After the merge: both versions stay, and the incident stands in the log and in the heart's counters. Returns sentences for the person. */
export function keepForks(heart: OpenHeart, keys: string, forks: readonly Fork[]): readonly string[] {
  const log = stickLog({ keys }, heart);
  const sentences: string[] = [];
  for (const { session, at, leaves, checkpoint, payloads, ours, sameKey } of forks) {
    const detail = `session ${session}, from entry ${at}: ${sameKey ? "two versions under its own key" : "another session under its name"}`;
    const kept = heart.audit.keepVersion({ session, leaves, checkpoint, payloads });
    // The merge let one of the two checkpoints win.
    heart.audit.keepVersion({ session, leaves: [], checkpoint: ours, payloads: [] });
    const logged = log.incident({ what: "audit.fork", detail, severity: 4 });
    heart.incidents.count("audit.fork", 4, detail);
    const why = kept.ok ? (logged.ok ? "" : ` ${auditFailureText(logged.error)}`) : ` ${heartErrorText(kept.error).text}`;
    sentences.push(
      `The two copies have different versions of one part of the log (${detail}). ${kept.ok ? "Both are kept" : "The other one could not be kept"}.${why}`,
    );
  }
  log.end("done");
  return sentences;
}
