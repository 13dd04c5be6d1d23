import * as Y from "yjs";
import type { Contestant } from "../heart-contestants.ts";
import { type Edit, Op, startOf } from "../heart-ops.ts";
import { contentsFrom, nameOf } from "./contents.ts";

/** Two maps in a document each; state vector there, update back. */
export async function enter(edits: number): Promise<Contestant> {
  const docs = [new Y.Doc(), new Y.Doc()] as const;
  const write = (doc: Y.Doc, group: Iterable<Edit>): void => {
    doc.transact(() => {
      const [registers, elements] = [doc.getMap("registers"), doc.getMap("elements")];
      for (const { op, at, value } of group) {
        if (op === Op.SET) registers.set(nameOf(at), value);
        else if (op === Op.ADD) elements.set(nameOf(at), true);
        else elements.delete(nameOf(at));
      }
    });
  };
  const take = (into: Y.Doc, from: Y.Doc): void => Y.applyUpdate(into, Y.encodeStateAsUpdate(from, Y.encodeStateVector(into)));
  // Whose write wins follows from these; at random they would differ from run to run.
  docs[0].clientID = 1;
  docs[1].clientID = 2;
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
