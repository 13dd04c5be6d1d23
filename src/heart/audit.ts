import { BOTTOM, type Label } from "../lib/label.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { cellsUnder, putCell } from "./cells.ts";
import { insertEntry, type EntryKind } from "./entries.ts";
import type { Hlc } from "./hlc.ts";
import type { HeartError } from "./port.ts";
import { bodyHash } from "./rows.ts";
import { Namespace } from "./tables.ts";
import { transactIn, type TypedStore } from "./typed-store.ts";

/**
 * The audit log's place in the heart: leaves as they are signed, one checkpoint a session, and payloads apart. What they mean is the matter of
 * `src/audit`; here they are rows that are sealed, merged as a set that only grows, and committed together.
 */
export interface HeartAudit {
  /**
   * One durable commit: the payload if there is one, the leaf made for it, and the checkpoint over the session's leaves. `make` must not
   * have effects: the commit may fail.
   */
  append(
    session: string,
    payload: { readonly body: string; readonly label: Label } | null,
    make: (place: LeafPlace) => { readonly leaf: string; readonly checkpoint: string },
  ): Result<void, HeartError>;
  /** The leaves of a session as they were stored, the oldest first; damaged ones are left out. */
  leaves(session: string): readonly string[];
  /** The newest signed checkpoint of each session. */
  checkpoints(): readonly { readonly session: string; readonly note: string }[];
  /** A payload, null when it was forgotten or is damaged. */
  payload(id: string): string | null;
}

export interface LeafPlace {
  readonly hlc: Hlc;
  /** SHA-256(salt ‖ payload) in hex, and the id of the row that it lies in; null without a payload. */
  readonly payload: { readonly hash: string; readonly id: string } | null;
}

const LEAF: EntryKind = "audit";
/** By the clock of one session, which goes on only, so in the order in which they were appended. */
const LEAVES = `select b.body as leaf from entry e cross join entry_body b on b.n = e.n
  where e.kind = '${LEAF}' and e.ref = ? order by e.actor, e.seq`;

export function heartAudit(store: TypedStore): HeartAudit {
  const { db, crypto, random } = store;
  return {
    append(session, payload, make) {
      if (!/^[0-9a-f]{32}$/.test(session)) return err({ kind: "not-found", what: session });
      const ref = Uint8Array.fromHex(session);
      return transactIn(store, (stamps) => {
        const salt = random.bytes(16);
        const body = payload?.body.toWellFormed() ?? "";
        const kept =
          payload === null
            ? null
            : {
                hash: bodyHash(salt, body, crypto).toHex(),
                id: insertEntry(store, stamps, { kind: "skill", body, salt, label: payload.label, ref }),
              };
        const hlc = stamps.stamp(0);
        const { leaf, checkpoint } = make({ hlc, payload: kept });
        insertEntry(store, stamps, { kind: LEAF, body: leaf, salt: random.bytes(16), label: payload?.label ?? BOTTOM, ref });
        putCell(db, store.sealing(), stamps, { ns: Namespace.AUDIT, key: session, value: checkpoint, label: BOTTOM });
        return ok(undefined);
      });
    },
    leaves: (session) =>
      /^[0-9a-f]{32}$/.test(session)
        ? store.reading(
            () => db.all(LEAVES, Uint8Array.fromHex(session)).flatMap(({ leaf }) => (typeof leaf === "string" ? [leaf] : [])),
            [],
          )
        : [],
    checkpoints: () =>
      store.reading(
        () =>
          cellsUnder(db, store.mac, Namespace.AUDIT).cells.flatMap(({ key, value }) =>
            value === null ? [] : [{ session: key, note: value }],
          ),
        [],
      ),
    payload: (id) => store.reading(() => bodyOf(store, id), null),
  };
}

function bodyOf({ db, crypto }: TypedStore, id: string): string | null {
  if (!/^[0-9a-f]{32}$/.test(id)) return null;
  const row = db.get(
    "select e.body_hash as hash, b.salt as salt, b.body as body from entry e join entry_body b on b.n = e.n where e.id = ?",
    Uint8Array.fromHex(id),
  );
  const { hash, salt, body } = row ?? {};
  if (!(hash instanceof Uint8Array) || !(salt instanceof Uint8Array) || typeof body !== "string") return null;
  return bodyHash(salt, body, crypto).toHex() === hash.toHex() ? body : null;
}
