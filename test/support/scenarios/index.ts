import { FILE } from "./file.ts";
import { MAIL } from "./mail.ts";
import { MEMORY } from "./memory.ts";
import { SUMMARY } from "./summary.ts";
import { TOOL } from "./tool.ts";
import type { Scenario } from "./types.ts";
import { WEB } from "./web.ts";

export const SCENARIOS: readonly Scenario[] = [...MAIL, ...WEB, ...FILE, ...TOOL, ...MEMORY, ...SUMMARY];
