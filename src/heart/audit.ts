import * as v from "valibot";
import { BOTTOM, type Label } from "../lib/label.ts";
import { canonicalJson } from "../lib/canonical-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { cellsUnder, getCell, putCell } from "./cells.ts";
import type { SaltedText } from "./audit-file.ts";
import { insertEntry } from "./entries.ts";
import type { Hlc } from "./hlc.ts";
import { groupLeaves } from "./leaf-groups.ts";
import { beginningOf, beginsAnew, leavesOf, leavesUnder, NEWER_BEGINNINGS, OF_SESSION } from "./leaf-rows.ts";
import { dropHead, headKey, headText, liveHead, liveHeads } from "./live-heads.ts";
import { readMeta } from "./meta.ts";
import type { HeartError } from "./port.ts";
import { bodyHash } from "./rows.ts";
import { versionOf } from "./schema.ts";
import type { SqlDatabase, SqlValue } from "./sql.ts";
import { LEAF, Namespace } from "./tables.ts";
import { transactIn, type TypedStore } from "./typed-store.ts";
import type { Stamps } from "./writer.ts";

/**
 * The audit log's place in the heart: leaves as they are signed, one checkpoint a session, and payloads apart. What they mean is the matter of
 * `src/audit`; here they are rows that are sealed, merged as a set that only grows, and committed together.
 *
 * A session's leaves are all of one writing session (`actor`), so that the index of dots finds them.
 */
export interface HeartAudit {
  /**
   * One durable commit for all of them. `"moved"`: the session does not stand as this writing session left it (another file was put in place of the heart,
   * a merge brought the session's end or another version of it); nothing was written.
   */
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
  /** The session ends with it: its checkpoint becomes a register, which is merged. */
  readonly isLast?: boolean;
}

export interface LeafPlace {
  readonly hlc: Hlc;
  /** Bits of `ClockFault`. */
  readonly clock: number;
  /** SHA-256(salt ‖ payload) in hex, and the id of the row that it lies in; null without a payload. */
  readonly payload: { readonly hash: string; readonly id: string } | null;
}

interface Left {
  readonly session: string;
  readonly note: string;
  readonly actor: number;
  /** Of the heart, as `Stamps` say. */
  readonly epoch: number;
}

const ID = /^[0-9a-f]{32}$/;
/** Key of the register with the parent's countersignature; no session has this name. */
export const COSIGNED_CELL = "cosigned";
/** Key of the note that says which sessions nobody had committed to when this file's last session began. */
const HEADS = "audit";
const row = v.pipe(v.number(), v.safeInteger());
/** `n`: a row of that session's first batch; `older`: the last row of `entry` by then, where a merge may bring beginnings of older versions. */
const Remembered = v.strictObject({ n: row, older: row, session: v.string(), also: v.array(v.string()) });

export function heartAudit(store: TypedStore): HeartAudit {
  const { db, mac, crypto, random } = store;
  const registerOf = (session: string): string | null => {
    const found = getCell(db, mac, Namespace.AUDIT, session);
    return found === "damaged" ? null : (found?.value ?? null);
  };
  const checkpointOf = (session: string): string | null => registerOf(session) ?? liveHead(db, mac, session)?.note ?? null;
  const putRegister = (stamps: Stamps, key: string, value: string): void =>
    putCell(db, store.sealing(), stamps, { ns: Namespace.AUDIT, key, value, label: BOTTOM });
  /** A beginning has a row of its own: a start looks at nothing else. */
  const putLeaves = (stamps: Stamps, session: Uint8Array, leaves: readonly string[]): void => {
    const alone = leaves.slice(0, beginsAnew(leaves[0] ?? "") ? 1 : 0);
    for (const group of [...alone, ...groupLeaves(leaves.slice(alone.length))]) {
      const columns: SqlValue[] = [session, stamps.stamp(0), stamps.actor, stamps.seq(), group];
      db.run(INSERT, ...columns, store.sealing().seal(LEAF.name, columns));
    }
  };
  /** As this process left it with its last batch. */
  let own: Left | null = null;
  /** Whether the session stands as its last batch left it, by this writing session's hand. */
  const stands = ({ session, after }: LeafBatch, { actor, epoch }: Stamps): boolean => {
    if (after !== null && own?.session === session && own.note === after && own.epoch === epoch) return own.actor === actor;
    const head = liveHead(db, mac, session);
    // A merge that brought the session's end took the note away.
    return (head?.note ?? null) === after && (head === null || head.actor === actor);
  };
  const appendIn = (stamps: Stamps, batch: LeafBatch): Left | null => {
    const { session, payloads, make, remember, isLast = false } = batch;
    if (!stands(batch, stamps)) return null;
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
    putLeaves(stamps, ref, leaves);
    if (remember !== undefined) stamps.fact(HEADS, rememberedText(db, session, remember));
    if (isLast) {
      putRegister(stamps, session, checkpoint);
      dropHead(db, session);
    } else stamps.fact(headKey(session), headText({ actor: stamps.actor, note: checkpoint }));
    return { session, note: checkpoint, actor: stamps.actor, epoch: stamps.epoch };
  };
  return {
    append(batch) {
      if (!ID.test(batch.session)) return err({ kind: "not-found", what: batch.session });
      let moved = false;
      let left: Left | null = null;
      const written = transactIn(store, (stamps) => {
        left = appendIn(stamps, batch);
        moved = left === null;
        // Whatever was written by then is undone with the transaction.
        return moved ? err({ kind: "not-found", what: batch.session }) : ok("written" as const);
      });
      if (written.ok) own = left;
      return moved ? ok("moved") : written;
    },
    leaves: (session) => (ID.test(session) ? store.reading(() => leavesUnder(db, session), []) : []),
    beginning: (session) => (ID.test(session) ? store.reading(() => beginningOf(db, session), null) : null),
    checkpoint: (session) => store.reading(() => checkpointOf(session), null),
    checkpoints: () =>
      store.reading(() => {
        const ended = cellsUnder(db, mac, Namespace.AUDIT).cells.flatMap(({ key, value }) =>
          value === null || !ID.test(key) ? [] : [[key, value] as const],
        );
        const notes = new Map([...liveHeads(db, mac).map(({ session, note }) => [session, note] as const), ...ended]);
        return [...notes].map(([session, note]) => ({ session, note }));
      }, []),
    payload: (id) => store.reading(() => bodyOf(store, id), null),
    newBeginnings: () =>
      store.reading(() => {
        const note = readMeta(db, HEADS);
        if (note === null || (mac !== null && !mac.verify("meta", [HEADS, note["v"] ?? null], note["mac"] ?? null))) return null;
        const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), Remembered), note["v"]);
        if (!parsed.success) return null;
        const { n, older, session, also } = parsed.output;
        // Row numbers are the file's own: after a repair they are others.
        if (versionOf(db) < LEAF.since) return null;
        const beginning = db.get("select session from leaf where n = ?", n)?.["session"];
        if (!(beginning instanceof Uint8Array) || beginning.toHex() !== session) return null;
        const leaves = [older, n].flatMap((above, i) =>
          db.all(NEWER_BEGINNINGS[i] ?? "", above).flatMap((found) => leavesOf(found).slice(0, 1)),
        );
        return { session, remembered: also, leaves };
      }, null),
    keepCosigned: (note) =>
      transactIn(store, (stamps) => {
        putRegister(stamps, COSIGNED_CELL, note);
        return ok(undefined);
      }),
    keepVersion: ({ session, leaves, checkpoint, payloads }) =>
      transactIn(store, (stamps) => {
        const ref = Uint8Array.fromHex(session);
        const here = new Set<string>();
        if (leaves.length > 0)
          for (const sql of OF_SESSION) db.each(sql, (found) => leavesOf(found).forEach((leaf) => here.add(leaf)), ref);
        const fresh = leaves.filter((leaf) => !here.has(leaf));
        putLeaves(stamps, ref, fresh);
        for (const { id, salt, body } of payloads) {
          const row = Uint8Array.fromHex(id);
          const isForgotten = db.get("select 1 from redaction where target = ? limit 1", row) !== null;
          if (!isForgotten && !isTaken(store, row)) insertEntry(store, stamps, { kind: "skill", body, salt, label: UNKNOWN, ref, id: row });
        }
        const key = `${session}/${crypto.sha256(new TextEncoder().encode(checkpoint)).toHex().slice(0, 16)}`;
        if (checkpointOf(session) !== checkpoint && registerOf(key) !== checkpoint) putRegister(stamps, key, checkpoint);
        return ok(fresh.length);
      }),
  };
}

const INSERT = `insert into leaf (${[...LEAF.columns, "mac"].join(", ")}) values (?, ?, ?, ?, ?, ?)`;

/** Of a payload whose label did not come along: nobody is told it, and nothing follows from it. */
const UNKNOWN: Label = { c: 3, k: ["heart"], i: 0, p: [] };

const isTaken = ({ db }: TypedStore, id: Uint8Array): boolean => db.get("select 1 from entry where id = ?", id) !== null;

/** Just after the first rows of the session were put there. */
function rememberedText(db: SqlDatabase, session: string, also: readonly string[]): string {
  const { n = 0, older = 0 } = db.get("select last_insert_rowid() as n, (select coalesce(max(n), 0) from entry) as older") ?? {};
  return canonicalJson({ n: Number(n), older: Number(older), session, also: [...also] });
}

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
