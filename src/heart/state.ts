import { BOTTOM, type Label } from "../lib/label.ts";
import { ok, type Result } from "../lib/result.ts";
import { cellsUnder, getCell, putCell } from "./cells.ts";
import type { HeartError } from "./port.ts";
import { Namespace } from "./tables.ts";
import { transactIn, type TypedStore } from "./typed-store.ts";

/** Small facts that travel with the heart: which plan is active, what was last shown. Never what belongs to one stick or host. */
export interface HeartState {
  /** Null where nothing was set, or what stands there is not what was written. */
  get(key: string): string | null;
  /** Keys that begin so and have a value; null where one of them is not what was written. */
  keysUnder(prefix: string): readonly string[] | null;
  /** Null clears it. */
  set(key: string, value: string | null, label?: Label): Result<void, HeartError>;
}

/** Who supervises this heart: the line of the parent's public key. No file may say it that comes from elsewhere. */
export const PARENT_STATE = "parent";
/** And which of the parent's rules it has met, one fact each: keys that begin so. The same holds of them. */
export const OVERLAY_STATE = "overlay.";

export function heartState(store: TypedStore): HeartState {
  const { db, mac } = store;
  return {
    get: (key) =>
      store.reading(() => {
        const cell = getCell(db, mac, Namespace.STATE, key);
        return cell === null || cell === "damaged" ? null : cell.value;
      }, null),
    keysUnder: (prefix) =>
      store.reading(() => {
        const { cells, damaged } = cellsUnder(db, mac, Namespace.STATE, prefix);
        return damaged > 0 ? null : cells.flatMap(({ key, value }) => (value === null ? [] : [key]));
      }, []),
    set: (key, value, label = BOTTOM) =>
      transactIn(store, (stamps) => {
        putCell(db, store.sealing(), stamps, { ns: Namespace.STATE, key, value, label });
        return ok(undefined);
      }),
  };
}
