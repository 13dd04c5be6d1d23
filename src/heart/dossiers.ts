import type { Millis } from "../lib/brand.ts";
import type { Label } from "../lib/label.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type Entry, entryReader, type EntryKind, insertEntry, SELECT_ENTRY } from "./entries.ts";
import { type Hlc, hlcOf, millisOf } from "./hlc.ts";
import type { HeartError } from "./port.ts";
import { transactIn, type TypedStore } from "./typed-store.ts";
import type { Stamps } from "./writer.ts";

/**
 * Questions and what became of them. An entry without a reference opens one; every other entry of its kind is a note on the one that it names. Both only
 * grow, so what a note settled is settled in every copy that this merges with, and no merge opens it again.
 */
export interface Dossier {
  readonly opened: Entry;
  /** The oldest first. A note whose text was forgotten or is damaged still stands here: that something was settled cannot be forgotten. */
  readonly notes: readonly Entry[];
}

export interface HeartDossiers {
  open(body: string, label: Label): Result<Entry, HeartError>;
  /**
   * Adds a note, if `admit` says so of the dossier as it stands in this very transaction: of two processes with the same answer the second sees the first's. `at` is
   * the note's stamp: never before anything that this heart has seen, whatever the clock says. Null where it was not admitted.
   */
  note(id: string, body: string, admit: (dossier: Dossier, at: Millis) => boolean): Result<Entry | null, HeartError>;
  get(id: string): Dossier | null;
  /** Those opened at or after `since`, the newest first, at most `limit`. */
  recent(since: Millis, limit: number): readonly Dossier[];
}

/** Notes on one question that are read: a decision, a use for each of a grant's times. */
const MOST_NOTES = 1000;

export function heartDossiers(store: TypedStore, kind: Extract<EntryKind, "approval" | "grant">): HeartDossiers {
  const { db } = store;
  const read = entryReader(store);
  // By time: there is no index over what an entry names, and a note never comes before what it is about.
  const notesOn = (id: Uint8Array, since: number): readonly Entry[] =>
    db
      .all(`${SELECT_ENTRY} where e.kind = ? and e.hlc >= ? and e.ref = ? order by e.hlc, e.id limit ?`, kind, since, id, MOST_NOTES)
      .flatMap(read);
  const find = (id: string): { readonly dossier: Dossier; readonly stamp: Hlc } | null => {
    if (!/^[0-9a-f]{32}$/.test(id)) return null;
    const row = db.get(`${SELECT_ENTRY} where e.id = ? and e.kind = ? and e.ref is null`, Uint8Array.fromHex(id), kind);
    const [opened] = row === null ? [] : read(row);
    if (row === null || opened === undefined) return null;
    const stamp = Number(row["hlc"]) as Hlc;
    return { dossier: { opened, notes: notesOn(Uint8Array.fromHex(id), stamp) }, stamp };
  };
  const insert = (stamps: Stamps, body: string, label: Label, about: { readonly id: string; readonly stamp: Hlc } | null): string =>
    insertEntry(store, stamps, {
      kind,
      body: body.toWellFormed(),
      salt: store.random.bytes(16),
      label,
      ref: about === null ? null : Uint8Array.fromHex(about.id),
      ...(about === null ? {} : { after: about.stamp }),
    });
  const written = (id: string): Result<Entry, HeartError> => {
    const [entry] = db.all(`${SELECT_ENTRY} where e.id = ?`, Uint8Array.fromHex(id)).flatMap(read);
    return entry === undefined ? err({ kind: "not-found", what: id }) : ok(entry);
  };
  return {
    open: (body, label) => transactIn(store, (stamps) => written(insert(stamps, body, label, null))),
    note: (id, body, admit) =>
      transactIn(store, (stamps): Result<Entry | null, HeartError> => {
        const found = find(id);
        if (found === null) return err({ kind: "not-found", what: id });
        const at = millisOf(stamps.stamp(found.stamp));
        if (!admit(found.dossier, at)) return ok(null);
        return written(insert(stamps, body, found.dossier.opened.label, { id, stamp: found.stamp }));
      }),
    get: (id) => store.reading(() => find(id)?.dossier ?? null, null),
    recent: (since, limit) =>
      store.reading(
        () =>
          db
            .all(
              `${SELECT_ENTRY} where e.kind = ? and e.hlc >= ? and e.ref is null order by e.hlc desc, e.id desc limit ?`,
              kind,
              hlcOf(since),
              limit,
            )
            .flatMap((row) => read(row).map((opened) => ({ opened, notes: notesOn(Uint8Array.fromHex(opened.id), Number(row["hlc"])) }))),
        [],
      ),
  };
}
