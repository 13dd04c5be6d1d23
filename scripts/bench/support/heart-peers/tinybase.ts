import { createMergeableStore, type MergeableStore } from "tinybase/mergeable-store";
import type { Contestant } from "../heart-contestants.ts";
import { type Edit, Op, startOf } from "../heart-ops.ts";
import { contentsFrom, nameOf } from "./contents.ts";

/**
 * Two tables in a store each; hashes there, differences back, as its synchronisers exchange them. Handing over the whole content
 * (`getMergeableContent`, `merge`) takes longer for both directions together (measured).
 */
export async function enter(edits: number): Promise<Contestant> {
  const stores = [createMergeableStore("a"), createMergeableStore("b")] as const;
  const write = (store: MergeableStore, group: Iterable<Edit>): void => {
    store.transaction(() => {
      for (const { op, at, value } of group) {
        if (op === Op.SET) store.setCell("registers", nameOf(at), "v", value);
        else if (op === Op.ADD) store.setCell("elements", nameOf(at), "v", true);
        else store.delRow("elements", nameOf(at));
      }
    });
  };
  write(stores[0], startOf(edits));
  take(stores[1], stores[0]);
  return {
    edit: (replica, group) => write(stores[replica], group),
    settle: () => undefined,
    merge: (into) => take(stores[into], stores[into === 0 ? 1 : 0]),
    contents(replica) {
      const store = stores[replica];
      const registers = store.getRowIds("registers").map((id) => [id, store.getCell("registers", id, "v")] as const);
      return contentsFrom(registers, store.getRowIds("elements"));
    },
    [Symbol.dispose]: () => undefined,
  };
}

function take(into: MergeableStore, from: MergeableStore): void {
  const [tables, differingTables] = from.getMergeableTableDiff(into.getMergeableTableHashes());
  const [rows, differingRows] = from.getMergeableRowDiff(into.getMergeableRowHashes(differingTables));
  const cells = from.getMergeableCellDiff(into.getMergeableCellHashes(differingRows));
  into.transaction(() => {
    for (const changes of [tables, rows, cells]) into.applyMergeableChanges([changes, [{}], 1]);
  });
}
