/** Checks the log in a heart's file and says what it took: bun audit-child.ts FILE. */
import { readFileSync } from "node:fs";
import { judgeLog } from "../../../src/audit/verdict.ts";
import { openAuditFile } from "../../../src/heart/audit-file.ts";
import { auditCrypto } from "../../../src/platform/audit-crypto.ts";
import { heartDeps } from "../../../src/platform/heart.ts";

const opened = openAuditFile(heartDeps(), process.argv[2] ?? "");
if (!opened.ok) throw new Error(opened.error.kind);
using file = opened.value;
const start = performance.now();
const { checked } = judgeLog(file, { anchors: [], parentKey: null, against: null, onProgress: () => undefined }, auditCrypto);
const ms = performance.now() - start;
const peak = Number(/VmHWM:\s+(\d+)/u.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0) * 1024;
console.log(JSON.stringify({ entries: checked.entries, ms, peak, count: checked.count }));
