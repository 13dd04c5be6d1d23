import * as Automerge from "@automerge/automerge";
import type { Contestant } from "../heart-contestants.ts";
import { type Edit, Op, startOf } from "../heart-ops.ts";
import { contentsFrom, nameOf } from "./contents.ts";

// A type and not an interface: Automerge asks for an index signature.
type Document = { registers: Record<string, string>; elements: Record<string, boolean> };

/** Two maps in a document each; one takes the other's changes in memory. */
export async function enter(edits: number): Promise<Contestant> {
  const write = (doc: Automerge.Doc<Document>, group: Iterable<Edit>): Automerge.Doc<Document> =>
    Automerge.change(doc, ({ registers, elements }) => {
      for (const { op, at, value } of group) {
        if (op === Op.SET) registers[nameOf(at)] = value;
        else if (op === Op.ADD) elements[nameOf(at)] = true;
        else delete elements[nameOf(at)];
      }
    });
  const empty: Document = { registers: {}, elements: {} };
  const first = write(Automerge.from(empty, "aa"), startOf(edits));
  const docs: [Automerge.Doc<Document>, Automerge.Doc<Document>] = [first, Automerge.clone(first, "bb")];
  return {
    edit: (replica, group) => void (docs[replica] = write(docs[replica], group)),
    settle: () => undefined,
    merge: (into) => void (docs[into] = Automerge.merge(docs[into], docs[into === 0 ? 1 : 0])),
    contents: (replica) => contentsFrom(Object.entries(docs[replica].registers), Object.keys(docs[replica].elements)),
    [Symbol.dispose]: () => undefined,
  };
}
