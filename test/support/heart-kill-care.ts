import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { must, openIn, placeIn } from "./heart.ts";
import { furnished } from "./heart-furnished.ts";
import { unsynced } from "./unsynced.ts";

const CHILD = join(import.meta.dir, "heart-care-child.ts");

export type CareJob = "backup" | "restore" | "fork" | "repair";

export interface KilledCare {
  /** Of the killed ones: those of which nothing came, and those that were through. */
  readonly before: number;
  readonly after: number;
  /** The first thing that is wrong; null when nothing is. */
  readonly fault: string | null;
}

/** Kills a job `kills` times at random moments, each on a fresh copy, looks at what is there, and does the job once more. */
export async function killCare(job: CareJob, kills: number, random: () => number): Promise<KilledCare> {
  using heart = furnished(3, 40);
  const old = join(heart.path, "old.sqlite");
  if ((await run("backup", heart.path, old, null)) !== "ok") throw new Error("no backup to work with");
  {
    using open = openIn(heart.path, { sql: unsynced });
    must(open.redact(heart.first));
    must(open.state.set("newer", "than the backup"));
  }
  if (job === "repair") breakPage(placeIn(heart.path).file);
  const work = join(heart.path, "work");
  const stage = (): { readonly folder: string; readonly dest: string } => {
    rmSync(work, { recursive: true, force: true });
    const folder = join(work, "own");
    mkdirSync(folder, { recursive: true });
    for (const name of ["heart.sqlite", "keys", "old.sqlite"]) cpSync(join(heart.path, name), join(folder, name), { recursive: true });
    const dest = {
      backup: join(work, "b.sqlite"),
      repair: join(work, "r.sqlite"),
      restore: join(folder, "old.sqlite"),
      fork: join(work, "fork"),
    }[job];
    return { folder, dest };
  };
  // The quicker of two, so that kills fall into the work and not behind it.
  let span = Infinity;
  for (let trial = 0; trial < 2; trial++) {
    const { folder, dest } = stage();
    let began = 0;
    const begin = (): void => void (began = performance.now());
    if ((await run(job, folder, dest, null, begin)) !== "ok") throw new Error(`${job} does not work`);
    span = Math.min(span, performance.now() - began);
  }
  const seen = { before: 0, after: 0 };
  for (let i = 0; i < kills; i++) {
    const { folder, dest } = stage();
    const said = await run(job, folder, dest, random() * span);
    const fault = faultOf(job, folder, dest, heart.first);
    if (fault !== null) return { ...seen, fault: `kill ${i} (${said}): ${fault}` };
    if (isDone(job, folder, dest)) {
      seen.after++;
      continue;
    }
    if (said === "ok") return { ...seen, fault: `kill ${i}: said to be done, and is not` };
    seen.before++;
    rmSync(join(folder, "backups"), { recursive: true, force: true });
    const again = await run(job, folder, dest, null);
    if (again !== "ok" || !isDone(job, folder, dest)) return { ...seen, fault: `kill ${i}: then once more: ${again}` };
    const left = readdirSync(work, { recursive: true, encoding: "utf8" }).filter(
      (name) => name.includes("unfinished") || name.includes(".tmp"),
    );
    if (left.length > 0 && job !== "fork") return { ...seen, fault: `kill ${i}: left ${left.join(", ")}` };
  }
  return { ...seen, fault: null };
}

/** What it said last; null for `after` lets it end by itself. */
async function run(job: CareJob, folder: string, dest: string, after: number | null, onBegin = (): void => undefined): Promise<string> {
  const child = Bun.spawn([process.execPath, CHILD, job, folder, dest], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  for await (const chunk of child.stdout) {
    if (said === "") onBegin();
    if (said === "" && after !== null) setTimeout(() => child.kill("SIGKILL"), after);
    said += new TextDecoder().decode(chunk);
  }
  await child.exited;
  return said.trim().split("\n").at(-1) ?? "";
}

function isDone(job: CareJob, folder: string, dest: string): boolean {
  if (job === "restore") return !hasNewer(placeIn(folder).file);
  return existsSync(job === "fork" ? placeIn(dest).file : dest);
}

/** Only what is newer than the backup says so. */
const hasNewer = (file: string): boolean => readFileSync(file).includes("than the backup");

function faultOf(job: CareJob, folder: string, dest: string, forgotten: string): string | null {
  const place = placeIn(folder);
  const sound = (file: string, keysDir: string): string | null => {
    const report = verifyHeart(heartDeps(), { file, keysDir });
    if (!report.ok) return `${file}: ${report.error.kind}`;
    return report.value.count > 0 ? `${file}: ${report.value.faults[0]?.detail ?? ""}` : null;
  };
  if (job === "repair" || job === "backup") return existsSync(dest) ? sound(dest, place.keysDir) : null;
  if (job === "fork") {
    const target = placeIn(dest);
    return existsSync(target.file) ? sound(target.file, target.keysDir) : null;
  }
  const fault = sound(place.file, place.keysDir);
  if (fault !== null) return fault;
  const aside = join(folder, "backups", "before.sqlite");
  if (existsSync(aside)) {
    const broken = sound(aside, place.keysDir);
    if (broken !== null) return broken;
  }
  if (!hasNewer(place.file) && !(existsSync(aside) && hasNewer(aside))) return "what was there is nowhere";
  using open = openIn(folder);
  const shown = open
    .sessions(9)
    .flatMap(({ id }) => open.messages(id))
    .find(({ id }) => id === forgotten);
  return shown?.redacted === true ? null : "what was forgotten is back";
}

function breakPage(file: string): void {
  const bytes = readFileSync(file);
  bytes.fill(0xa5, 4096 * 9, 4096 * 10);
  writeFileSync(file, bytes);
}
