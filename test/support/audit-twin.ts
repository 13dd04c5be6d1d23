/** A stick that was copied, with the memory of the process that was writing to it: both copies go on in one session of the log, under its own key. */
import { cpSync, rmSync } from "node:fs";
import { entryText } from "../../src/audit/entry.ts";
import type { SigningKey } from "../../src/audit/log.ts";
import { type Stage, Thief } from "./audit-forge.ts";
import { bodyHash } from "../../src/heart/rows.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { openIn, placeIn } from "./heart.ts";

interface Twin {
  readonly folder: string;
  readonly keys: ReadonlyMap<string, SigningKey>;
  /** It has two entries at least. */
  readonly session: string;
  /** The hand that writes, as version vectors know it. */
  readonly actor: "same" | "other";
  /** Another than the session's own. */
  readonly key?: SigningKey;
}

/** Entry 2 of the session, there. As the program itself would write it, which no process can be made to: it begins anew when its file is another. */
export function goOn({ folder, keys, session, actor, key = keys.get(session) }: Twin): void {
  if (key === undefined) throw new Error("the session's key was not kept");
  const temp = `${folder}.temp`;
  const stage = { folder, heart: heartOf(folder), keys, sessions: ["", "", "", ""], anchor: null as never, old: "" } as Stage;
  {
    using thief = new Thief(stage, temp);
    const { entry } = thief.row(session, 1);
    const hand = actor === "same" ? thief.actor(session) : 12_345;
    // What lies apart from it.
    const { random } = heartDeps();
    const [salt, reference] = [random.bytes(16), random.bytes(16)];
    thief.insertPayload(session, "read there", hand, reference, salt);
    const payload = bodyHash(salt, "read there", heartDeps().crypto).toHex();
    const apart = { payload, reference: reference.toHex() };
    const leaf = entryText({ ...entry, ...apart, seq: 2, hlc: entry.hlc + 4096, object: "there" } as never);
    thief.insert(session, leaf, hand);
    const leaves = thief.rows(session).map((row) => row.leaf);
    thief.setHead(session, { actor: hand, note: thief.sign(session, key, leaves) });
  }
  cpSync(placeIn(temp).file, placeIn(folder).file);
  rmSync(temp, { recursive: true });
}

const heartOf = (folder: string): string => {
  using heart = openIn(folder);
  return heart.id;
};
