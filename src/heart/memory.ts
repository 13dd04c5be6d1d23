import type { Millis } from "../lib/brand.ts";
import type { Label } from "../lib/label.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { cellsUnder, getCell, putCell, type Cell } from "./cells.ts";
import type { HeartError } from "./port.ts";
import { Namespace } from "./tables.ts";
import { transactIn, type TypedStore } from "./typed-store.ts";

/** What is remembered: one text a key, with the label of whatever it was learned from. */
export interface MemoryItem {
  readonly key: string;
  readonly text: string;
  readonly at: Millis;
  readonly label: Label;
}

export interface HeartMemory {
  /** Over whatever was remembered under that key. */
  remember(key: string, text: string, label: Label): Result<MemoryItem, HeartError>;
  /** Null where nothing is remembered, or what stands there is not what was written. */
  recall(key: string): MemoryItem | null;
  /** By key, those that begin with `prefix`; all without one. */
  list(prefix?: string): readonly MemoryItem[];
  /** How many are left out everywhere because they are not what was written. */
  damaged(): number;
  /**
   * Forgets: the text is overwritten here and, by merging, wherever this arrives before somebody remembers something new under that key.
   * Values that lost in a merge go with it.
   */
  forget(key: string): Result<void, HeartError>;
}

const KEY_LENGTH = 256;

export function heartMemory(store: TypedStore): HeartMemory {
  const { db, mac } = store;
  const itemOf = ({ key, value, at, label }: Cell): readonly MemoryItem[] => (value === null ? [] : [{ key, text: value, at, label }]);
  return {
    remember(key, text, label) {
      if (key === "" || key.length > KEY_LENGTH || !key.isWellFormed()) return err({ kind: "not-found", what: key });
      return transactIn(store, (stamps) => {
        putCell(db, store.sealing(), stamps, { ns: Namespace.MEMORY, key, value: text, label });
        const cell = getCell(db, mac, Namespace.MEMORY, key);
        const [item] = cell === null || cell === "damaged" ? [] : itemOf(cell);
        return item === undefined ? err({ kind: "not-found", what: key }) : ok(item);
      });
    },
    recall: (key) =>
      store.reading(() => {
        const cell = getCell(db, mac, Namespace.MEMORY, key);
        return cell === null || cell === "damaged" ? null : (itemOf(cell)[0] ?? null);
      }, null),
    list: (prefix = "") => store.reading(() => cellsUnder(db, mac, Namespace.MEMORY, prefix).cells.flatMap(itemOf), []),
    damaged: () => store.reading(() => cellsUnder(db, mac, Namespace.MEMORY).damaged, 0),
    forget: (key) =>
      transactIn(store, (stamps) => {
        const cell = getCell(db, mac, Namespace.MEMORY, key);
        if (cell === null || (cell !== "damaged" && cell.value === null)) return err({ kind: "not-found", what: key });
        // Nothing but that something was forgotten: the label of a text says things about it.
        putCell(db, store.sealing(), stamps, { ns: Namespace.MEMORY, key, value: null, label: { c: 0, k: [], i: 4, p: [] } });
        db.run("delete from conflict where ns = ? and k = ?", Namespace.MEMORY, key);
        return ok(undefined);
      }),
  };
}
