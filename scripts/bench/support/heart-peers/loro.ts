import { LoroDoc } from "loro-crdt";
import type { Contestant } from "../heart-contestants.ts";
import { type Edit, Op, startOf } from "../heart-ops.ts";
import { contentsFrom, nameOf } from "./contents.ts";

/** Two maps in a document each; version vector there, update back. */
export async function enter(edits: number): Promise<Contestant> {
  const docs = [new LoroDoc(), new LoroDoc()] as const;
  const write = (doc: LoroDoc, group: Iterable<Edit>): void => {
    const [registers, elements] = [doc.getMap("registers"), doc.getMap("elements")];
    for (const { op, at, value } of group) {
      if (op === Op.SET) registers.set(nameOf(at), value);
      else if (op === Op.ADD) elements.set(nameOf(at), true);
      else elements.delete(nameOf(at));
    }
    doc.commit();
  };
  const take = (into: LoroDoc, from: LoroDoc): void => {
    into.import(from.export({ mode: "update", from: into.version() }));
  };
  docs[0].setPeerId(1n);
  docs[1].setPeerId(2n);
  write(docs[0], startOf(edits));
  take(docs[1], docs[0]);
  return {
    edit: (replica, group) => write(docs[replica], group),
    settle: () => undefined,
    merge: (into) => take(docs[into], docs[into === 0 ? 1 : 0]),
    contents: (replica) => contentsFrom(docs[replica].getMap("registers").entries(), docs[replica].getMap("elements").keys()),
    [Symbol.dispose]: () => undefined,
  };
}
