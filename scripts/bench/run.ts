/**
 * `bun scripts/bench/run.ts [AREA…]`: measures, prints a table for each area and writes bench-results/AREA.json. Figures of one
 * run are compared with each other; absolute ones say little about another machine. Ends with 1 only when a bench broke.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { formatTable, met, type Row } from "./table.ts";

const ROOT = join(import.meta.dir, "../..");
const AREAS: Record<string, () => Promise<readonly Row[]>> = {
  startup: async () => await (await import("./areas/startup.ts")).startup(),
  tui: async () => await (await import("./areas/tui.ts")).tui(),
  engine: async () => await (await import("./areas/engine.ts")).engine(),
  heart: async () => await (await import("./areas/heart.ts")).heart(),
  audit: async () => await (await import("./areas/audit.ts")).audit(),
  bark: async () => await (await import("./areas/bark.ts")).bark(),
  "bark-peers": async () => await (await import("./areas/bark-peers.ts")).barkPeers(),
};

const wanted = process.argv.slice(2).filter((name) => name !== "");
const unknown = wanted.filter((name) => !(name in AREAS));
if (unknown.length > 0) {
  console.error(`There is no bench of ${unknown.join(", ")}. There are: ${Object.keys(AREAS).join(", ")}.`);
  process.exit(2);
}
console.log(`${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(2)}\n`);
let broken = false;
for (const [area, measure] of Object.entries(AREAS)) {
  if (wanted.length > 0 && !wanted.includes(area)) continue;
  try {
    const rows = await measure();
    console.log(`${formatTable(area, rows)}\n`);
    mkdirSync(join(ROOT, "bench-results"), { recursive: true });
    const facts = {
      area,
      at: new Date().toISOString(),
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      rows: rows.map((row) => ({ ...row, met: met(row) })),
    };
    writeFileSync(join(ROOT, `bench-results/${area}.json`), `${JSON.stringify(facts, null, 2)}\n`);
  } catch (error) {
    broken = true;
    console.error(`The bench of ${area} broke: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}
process.exit(broken ? 1 : 0);
