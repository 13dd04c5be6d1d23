import { existsSync } from "node:fs";
import { join } from "node:path";
import type { StickLayout } from "../config/layout.ts";
import { catalogue } from "../models/catalogue.ts";
import { createModelLibrary } from "../models/library.ts";
import type { ModelLibrary } from "../models/port.ts";
import { probeHost } from "../platform/host-probe.ts";
import { modelFiles } from "../platform/model-files.ts";

/** The models of this stick, on the real machine. */
export async function libraryOf(layout: StickLayout): Promise<ModelLibrary> {
  return createModelLibrary({
    layout,
    files: modelFiles,
    catalogue: catalogue(),
    host: () => probeHost({ gpuPack: existsSync(layout.packs) }),
  });
}
