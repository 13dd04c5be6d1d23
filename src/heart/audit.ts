import * as v from "valibot";
import { BOTTOM, type Label } from "../lib/label.ts";
import { canonicalJson } from "../lib/canonical-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { cellOf, cellRow, cellsUnder, getCell, moveCell, type PlacedCell, putCell } from "./cells.ts";
import type { SaltedText } from "./audit-file.ts";
import { insertEntry, placeNear, type EntryKind } from "./entries.ts";
import type { Hlc } from "./hlc.ts";
import { groupLeaves, type LeafGroup, leavesIn } from "./leaf-groups.ts";
import { readMeta, writeMeta } from "./meta.ts";
import type { HeartError } from "./port.ts";
import { bodyHash } from "./rows.ts";
import type { SqlRow } from "./sql.ts";
import { Namespace } from "./tables.ts";
import { transactIn, type TypedStore } from "./typed-store.ts";
import type { Stamps } from "./writer.ts";

/**
 * The audit log's place in the heart: leaves as they are signed, one checkpoint a session, and payloads apart. What they mean is the matter of
 * `src/audit`; here they are rows that are sealed, merged as a set that only grows, and committed together.
 *
 * A session's leaves are all of one writing session (`actor`), so that its checkpoint's row says where they stand: no index of its own.
 */
export interface HeartAudit {
  /** One durable commit for all of them. `"moved"`: another file was put in place of the heart, or it was opened anew; nothing was written. */
  append(batch: LeafBatch): Result<"written" | "moved", HeartError>;
  /** The leaves of a session as they were stored, the oldest first. */
  leaves(session: string): readonly string[];
  /** The first of them. */
  beginning(session: string): string | null;
  /** The newest signed checkpoint of a session. */
  checkpoint(session: string): string | null;
  /** Of each session. */
  checkpoints(): readonly { readonly session: string; readonly note: string }[];
  /** A payload, null when it was forgotten or is damaged. */
  payload(id: string): string | null;
  /**
   * The first leaves of sessions that came since a session of this file began, and what that session remembered; null where nothing was
   * remembered, or the file was made anew since. The cost is that of what came.
   */
  newBeginnings(): { readonly session: string; readonly remembered: readonly string[]; readonly leaves: readonly string[] } | null;
  /** The newest heads that the parent countersigned. */
  keepCosigned(note: string): Result<void, HeartError>;
  /** Takes in leaves of another copy that this one cannot merge, with the checkpoint they were signed in. What is here, or was forgotten here, is left out. */
  keepVersion(version: KeptVersion): Result<number, HeartError>;
}

export interface KeptVersion {
  readonly session: string;
  readonly leaves: readonly string[];
  readonly checkpoint: string;
  readonly payloads: readonly KeptPayload[];
}
export interface KeptPayload extends SaltedText {
  /** 16 bytes in hex, as a leaf names it. */
  readonly id: string;
}

export interface LeafBatch {
  /** 16 bytes in hex. */
  readonly session: string;
  /** The checkpoint that the session's last batch left; null for its first. */
  readonly after: string | null;
  /** One for each leaf; null for a leaf without one. */
  readonly payloads: readonly ({ readonly body: string; readonly label: Label } | null)[];
  /** Must not have effects: the commit may fail. */
  readonly make: (places: readonly LeafPlace[]) => { readonly leaves: readonly string[]; readonly checkpoint: string };
  /** With a session's first batch: what the next beginning has to look at, beside this session. */
  readonly remember?: readonly string[];
}

export interface LeafPlace {
  readonly hlc: Hlc;
  /** Bits of `ClockFault`. */
  readonly clock: number;
  /** SHA-256(salt ‖ payload) in hex, and the id of the row that it lies in; null without a payload. */
  readonly payload: { readonly hash: string; readonly id: string } | null;
}

interface LeftCheckpoint {
  readonly session: string;
  readonly note: string;
  readonly cell: PlacedCell;
}

const LEAF: EntryKind = "audit";
/** Bodies of rows hold one leaf or several (`leaf-groups.ts`). */
const LEAVES = `select b.body as body from entry e indexed by entry_dot cross join entry_body b on b.n = e.n
  where e.actor = ? and e.kind = '${LEAF}' and e.ref = ? order by e.seq`;
/** A beginning has the session's own id. */
const BEGINNING = `select b.body as body from entry e join entry_body b on b.n = e.n where e.id = ? and e.id = e.ref and e.kind = '${LEAF}'`;
/** In whoever's hand: by the table, for no index knows it. */
const EVERY_LEAF = `select b.body as body from entry e not indexed cross join entry_body b on b.n = e.n where e.kind = '${LEAF}' and e.ref = ?`;
const BEGINNINGS = `select b.body as body from entry e not indexed cross join entry_body b on b.n = e.n
  where e.n > ? and e.kind = '${LEAF}' and e.id = e.ref order by e.n`;
const ID = /^[0-9a-f]{32}$/;
/** Key of the register with the parent's countersignature; no session has this name. */
export const COSIGNED_CELL = "cosigned";
/** Key of the note that says which sessions nobody had committed to when this file's last session began. */
const HEADS = "audit";
const Remembered = v.strictObject({ n: v.pipe(v.number(), v.safeInteger()), session: v.string(), also: v.array(v.string()) });

export function heartAudit(store: TypedStore): HeartAudit {
  const { db, mac, crypto, random } = store;
  const cell = (session: string) => {
    const found = getCell(db, mac, Namespace.AUDIT, session);
    return found === "damaged" ? null : found;
  };
  const actorOf = (session: string): number =>
    Number(db.get("select actor from cell where ns = ? and k = ?", Namespace.AUDIT, session)?.["actor"] ?? 0);
  const putCheckpoint = (stamps: Stamps, key: string, value: string): void =>
    void putCell(db, store.sealing(), stamps, { ns: Namespace.AUDIT, key, value, label: BOTTOM });
  const insertRow = (stamps: Stamps, ref: Uint8Array, { body, label }: LeafGroup, id: Uint8Array): void =>
    void insertEntry(store, stamps, { kind: LEAF, body, salt: random.bytes(16), label, ref, id });
  /** As this process left it with its last batch. */
  let own: LeftCheckpoint | null = null;
  /** The checkpoint's place; null where it is not `after` that stands there. */
  const putAfter = (stamps: Stamps, { session, after }: LeafBatch, checkpoint: string): PlacedCell | null => {
    const cellAt = { ns: Namespace.AUDIT, key: session, value: checkpoint, label: BOTTOM };
    if (after !== null && own?.session === session && own.note === after)
      return own.cell.actor === stamps.actor ? moveCell(db, store.sealing(), stamps, cellAt, own.cell) : null;
    const before = cellRow(db, Namespace.AUDIT, session);
    const stands = before === null ? null : cellOf(before, mac);
    const note = stands === null || stands === "damaged" ? null : stands.value;
    if (note !== after || (after !== null && Number(before?.["actor"]) !== stamps.actor)) return null;
    return putCell(db, store.sealing(), stamps, cellAt, before);
  };
  const appendIn = (stamps: Stamps, batch: LeafBatch): LeftCheckpoint | null => {
    const { session, payloads, make, remember } = batch;
    const ref = Uint8Array.fromHex(session);
    const keep = ({ body: text, label }: NonNullable<LeafBatch["payloads"][number]>): LeafPlace["payload"] => {
      const salt = random.bytes(16);
      const body = text.toWellFormed();
      const id = insertEntry(store, stamps, { kind: "skill", body, salt, label, ref, near: ref });
      return { hash: bodyHash(salt, body, crypto).toHex(), id };
    };
    const places = payloads.map((payload): LeafPlace => {
      const kept = payload === null ? null : keep(payload);
      return { hlc: stamps.stamp(0), clock: stamps.clock, payload: kept };
    });
    const { leaves, checkpoint } = make(places);
    const placed = putAfter(stamps, batch, checkpoint);
    if (placed === null) return null;
    // A beginning has a row of its own, whose id is the session's: a start looks at nothing else.
    const alone = beginsAnew(leaves[0] ?? "") && !isTaken(store, ref) ? leaves.slice(0, 1) : [];
    const labels = payloads.map((payload) => payload?.label ?? BOTTOM);
    for (const beginning of alone) insertRow(stamps, ref, { body: beginning, label: labels[0] ?? BOTTOM }, ref);
    for (const group of groupLeaves(leaves.slice(alone.length), labels.slice(alone.length)))
      insertRow(stamps, ref, group, idNear(store, ref, group.body, checkpoint));
    if (remember !== undefined) {
      const n = Number(db.get("select n from entry where id = ?", ref)?.["n"] ?? 0);
      writeMeta(db, store.sealing(), [HEADS, canonicalJson({ n, session, also: [...remember] })]);
    }
    return { session, note: checkpoint, cell: placed };
  };
  return {
    append(batch) {
      if (!ID.test(batch.session)) return err({ kind: "not-found", what: batch.session });
      let moved = false;
      let left: LeftCheckpoint | null = null;
      const written = transactIn(store, (stamps) => {
        left = appendIn(stamps, batch);
        moved = left === null;
        // Whatever was written by then is undone with the transaction.
        return moved ? err({ kind: "not-found", what: batch.session }) : ok("written" as const);
      });
      if (written.ok) own = left;
      return moved ? ok("moved") : written;
    },
    leaves: (session) =>
      ID.test(session) ? store.reading(() => db.all(LEAVES, actorOf(session), Uint8Array.fromHex(session)).flatMap(leavesOf), []) : [],
    beginning(session) {
      const id = ID.test(session) ? Uint8Array.fromHex(session) : null;
      return store.reading(() => db.all(BEGINNING, id).flatMap(leavesOf)[0] ?? null, null);
    },
    checkpoint: (session) => store.reading(() => cell(session)?.value ?? null, null),
    checkpoints: () =>
      store.reading(
        () =>
          cellsUnder(db, mac, Namespace.AUDIT).cells.flatMap(({ key, value }) =>
            value === null || !ID.test(key) ? [] : [{ session: key, note: value }],
          ),
        [],
      ),
    payload: (id) => store.reading(() => bodyOf(store, id), null),
    newBeginnings: () =>
      store.reading(() => {
        const note = readMeta(db, HEADS);
        if (note === null || (mac !== null && !mac.verify("meta", [HEADS, note["v"] ?? null], note["mac"] ?? null))) return null;
        const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), Remembered), note["v"]);
        if (!parsed.success) return null;
        const { n, session, also } = parsed.output;
        // Row numbers are the file's own: after a repair they are others.
        const stands = db.get("select id from entry where n = ?", n)?.["id"];
        if (!(stands instanceof Uint8Array) || stands.toHex() !== session) return null;
        const leaves = db.all(BEGINNINGS, n).flatMap((row) => leavesOf(row).slice(0, 1));
        return { session, remembered: also, leaves };
      }, null),
    keepCosigned: (note) =>
      transactIn(store, (stamps) => {
        putCheckpoint(stamps, COSIGNED_CELL, note);
        return ok(undefined);
      }),
    keepVersion: ({ session, leaves, checkpoint, payloads }) =>
      transactIn(store, (stamps) => {
        const ref = Uint8Array.fromHex(session);
        // By what stands there and not by an id, which whoever has the session's key might have made for two.
        const here = new Set<string>();
        if (leaves.length > 0) db.each(EVERY_LEAF, (row) => leavesOf(row).forEach((leaf) => here.add(leaf)), ref);
        const fresh = leaves.filter((leaf) => !here.has(leaf));
        for (const leaf of fresh) {
          const ids = [...(beginsAnew(leaf) ? [ref] : []), leafId(store, ref, leaf), longLeafId(store, session, leaf)];
          insertRow(stamps, ref, { body: leaf, label: BOTTOM }, ids.find((id) => !isTaken(store, id)) ?? random.bytes(16));
        }
        for (const { id, salt, body } of payloads) {
          const row = Uint8Array.fromHex(id);
          const isForgotten = db.get("select 1 from redaction where target = ? limit 1", row) !== null;
          if (!isForgotten && !isTaken(store, row)) insertEntry(store, stamps, { kind: "skill", body, salt, label: UNKNOWN, ref, id: row });
        }
        const key = `${session}/${crypto.sha256(new TextEncoder().encode(checkpoint)).toHex().slice(0, 16)}`;
        if (cell(session)?.value !== checkpoint && cell(key)?.value !== checkpoint) putCheckpoint(stamps, key, checkpoint);
        return ok(fresh.length);
      }),
  };
}

/** Of a payload whose label did not come along: nobody is told it, and nothing follows from it. */
const UNKNOWN: Label = { c: 3, k: ["heart"], i: 0, p: [] };

/** In canonical form a beginning, and nothing else, has its certificate first. */
const beginsAnew = (leaf: string): boolean => leaf.startsWith('{"certificate":');

const isTaken = ({ db }: TypedStore, id: Uint8Array): boolean => db.get("select 1 from entry where id = ?", id) !== null;

const leavesOf = ({ body }: SqlRow): readonly string[] => (typeof body === "string" ? leavesIn(body) : []);

/**
 * The id of a row of leaves holds of the hash of what tells its version: two versions of one entry are two rows, in whichever copies they meet. Before that
 * stand two bytes of its session's and the first entry's number, so that what is committed together stands together in the index of ids: ten ids from
 * anywhere are ten pages to be kept in the journal and written.
 */
function idNear({ crypto }: TypedStore, session: Uint8Array, body: string, version: string): Uint8Array {
  const id = crypto.sha256(new TextEncoder().encode(version)).slice(0, 16);
  // Within a text quotes are escaped, so this is the entry's own.
  const at = body.indexOf('"seq":') + 6;
  id.set(placeNear(session, Number.parseInt(body.slice(at, at + 16), 10) || 0));
  return id;
}

const leafId = (store: TypedStore, session: Uint8Array, leaf: string): Uint8Array => idNear(store, session, leaf, leaf);

/** As ids of leaves once were: the hash alone. Also for a leaf whose id something else has. */
const longLeafId = ({ crypto }: TypedStore, session: string, leaf: string): Uint8Array =>
  crypto.sha256(new TextEncoder().encode(`noctem audit leaf\n${session}\n${leaf}`)).slice(0, 16);

function bodyOf({ db, crypto }: TypedStore, id: string): string | null {
  if (!ID.test(id)) return null;
  const row = db.get(
    "select e.body_hash as hash, b.salt as salt, b.body as body from entry e join entry_body b on b.n = e.n where e.id = ?",
    Uint8Array.fromHex(id),
  );
  const { hash, salt, body } = row ?? {};
  if (!(hash instanceof Uint8Array) || !(salt instanceof Uint8Array) || typeof body !== "string") return null;
  return bodyHash(salt, body, crypto).toHex() === hash.toHex() ? body : null;
}
