import { existsSync } from "node:fs";
import { join } from "node:path";
import type { StickLayout } from "../config/layout.ts";
import { catalogue } from "../models/catalogue.ts";
import { createModelLibrary } from "../models/library.ts";
import type { ModelLibrary } from "../models/port.ts";
import { probeHost } from "../platform/host-probe.ts";
import { modelFiles } from "../platform/model-files.ts";
import { GPU_PACKS } from "../platform/native/gpu-pack.ts";

/** The models of this stick, on this host. */
export function libraryOf(layout: StickLayout): ModelLibrary {
  return createModelLibrary({ layout, files: modelFiles, catalogue: catalogue(), host: () => probeHost({ gpuPack: hasGpuPack(layout) }) });
}

/** Whether a pack is sound is the engine's business; for planning it is enough that there is one. */
const hasGpuPack = (layout: StickLayout): boolean => GPU_PACKS.some((name) => existsSync(join(layout.packs, name, "manifest.json")));
