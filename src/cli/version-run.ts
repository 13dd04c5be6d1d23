import { dependencies, version } from "../../package.json";
import { SCHEMA_VERSION } from "../heart/schema.ts";
import { versionLine } from "./version.ts";

/** What a bug report needs to say what ran. Facts of the build, none of the host. */
export function versionText(json: boolean): string {
  const facts = {
    noctem: version,
    bun: Bun.version,
    bunRevision: Bun.revision,
    "node-llama-cpp": dependencies["node-llama-cpp"],
    heartFormat: SCHEMA_VERSION,
  };
  if (json) return `${JSON.stringify(facts)}\n`;
  const { noctem: _, ...parts } = facts;
  return [versionLine(), ...Object.entries(parts).map(([name, value]) => `  ${name.padEnd(16)}${value}`), ""].join("\n");
}
