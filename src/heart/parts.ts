import { heartAudit, type HeartAudit } from "./audit.ts";
import { heartDossiers, type HeartDossiers } from "./dossiers.ts";
import { heartEntries, type HeartEntries } from "./entries.ts";
import { searchHeart, type Found } from "./find.ts";
import { heartIncidents, type HeartIncidents } from "./incidents.ts";
import { heartMemory, type HeartMemory } from "./memory.ts";
import type { HeartReader } from "./reader.ts";
import { heartState, type HeartState } from "./state.ts";
import { heartTasks, type HeartTasks } from "./tasks.ts";
import { typedStore, type TypedStore } from "./typed-store.ts";

/** What a heart holds beside conversations. Reading methods throw `HeartFailure`, as everywhere in the heart. */
export interface HeartParts {
  readonly tasks: HeartTasks;
  readonly memory: HeartMemory;
  readonly entries: HeartEntries;
  /** What waits for a person's answer, and what they granted. */
  readonly approvals: HeartDossiers;
  readonly grants: HeartDossiers;
  readonly incidents: HeartIncidents;
  readonly state: HeartState;
  readonly audit: HeartAudit;
  /** Over messages and memories; `limit` hits at most. */
  search(query: string, limit: number): Found;
}

export function heartParts(parts: Omit<TypedStore, "sealing" | "reading">, reader: HeartReader): HeartParts {
  const store = typedStore(parts);
  return {
    tasks: heartTasks(store),
    memory: heartMemory(store),
    entries: heartEntries(store),
    approvals: heartDossiers(store, "approval"),
    grants: heartDossiers(store, "grant"),
    incidents: heartIncidents(store),
    state: heartState(store),
    audit: heartAudit(store),
    search: (query, limit) => searchHeart(store, reader, query, limit),
  };
}
