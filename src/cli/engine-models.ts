import type { StickLayout } from "../config/layout.ts";
import type { EngineHostOptions } from "../engine/host.ts";
import { partPaths } from "../models/inventory.ts";
import type { ModelLibrary } from "../models/port.ts";
import { foresee } from "../platform/cage/own.ts";
import { linkedModels } from "../platform/cage/own-facts.ts";
import { spawnCagedEngine } from "../platform/process.ts";

/**
 * Which models an engine's cage shows: the stick's folder, what was chosen from elsewhere on this computer, and what is asked of it first. The engine is started by its first
 * load, after the choice, so nearly always that is all it will ever be asked for.
 */
export class EngineModels {
  readonly #layout: StickLayout;
  readonly #chosen = new Set<string>();

  constructor(layout: StickLayout) {
    this.#layout = layout;
    foresee();
  }

  readonly spawn: EngineHostOptions["spawn"] = (path) => {
    const { models } = this.#layout;
    const asked = path === null ? [] : [path];
    return spawnCagedEngine([models, ...linkedModels(models), ...[...this.#chosen, ...asked].flatMap(partPaths)]);
  };

  /** The same library, whose choices are remembered. */
  watch(library: ModelLibrary): ModelLibrary {
    return {
      place: async (wish) => {
        const placed = await library.place(wish);
        if (placed.ok) for (const model of [placed.value.quick, placed.value.task]) if (model !== null) this.#chosen.add(model.path);
        return placed;
      },
      list: () => library.list(),
      pull: (name, onProgress, signal) => library.pull(name, onProgress, signal),
      importFile: (path, onProgress, signal) => library.importFile(path, onProgress, signal),
      recordThreads: (path, threads) => library.recordThreads(path, threads),
    };
  }
}
