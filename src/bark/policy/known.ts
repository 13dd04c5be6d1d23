import { OVERLAY_STATE } from "../../heart/state.ts";

/** Which of a parent's overlays a heart has met: that a file was taken away, or an older one put in its place, is seen by that. */
export interface KnownOverlay {
  /** SHA-256 of what was signed, in hex. */
  readonly hash: string;
  /** Milliseconds; 0 where it does not say when it was signed. */
  readonly issued: number;
}

/** The key of a fact of the heart. They only ever grow, so that no merge with a copy that knows less takes one back. */
export const overlayState = ({ hash, issued }: KnownOverlay): string => `${OVERLAY_STATE}${String(issued).padStart(16, "0")}.${hash}`;

/** Null for what is none. */
export function knownOverlay(key: string): KnownOverlay | null {
  const [, issued, hash] = /^overlay\.(\d{16})\.([0-9a-f]{64})$/.exec(key) ?? [];
  return issued === undefined || hash === undefined ? null : { issued: Number(issued), hash };
}

export interface OverlayFault {
  readonly kind: "gone" | "older";
  /** A sentence. */
  readonly detail: string;
}

/** Null where `present` is the newest that is known, or newer. A parent takes back what they laid over the policy by signing one that says nothing, and in no other way. */
export function overlayFault(present: KnownOverlay | null, known: readonly KnownOverlay[]): OverlayFault | null {
  const newest = known.reduce<KnownOverlay | null>((best, one) => (best === null || one.issued > best.issued ? one : best), null);
  if (newest === null) return null;
  const name = `${newest.hash.slice(0, 16)}${newest.issued === 0 ? "" : ` of ${new Date(newest.issued).toISOString().slice(0, 10)}`}`;
  if (present === null) return { kind: "gone", detail: `It was taken away. This heart knows the one named ${name}.` };
  const isOlder = known.some(({ hash, issued }) => hash !== present.hash && issued >= present.issued);
  return isOlder ? { kind: "older", detail: `It is not the newest that this heart knows, which is ${name}.` } : null;
}
