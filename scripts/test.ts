/**
 * Runs the checks and the tests: `bun scripts/test.ts [check | property | unit | integration | tui | e2e | model | soak]…`; without a name everything but soak.
 * The last line is `N passed, N failed, N skipped`; the exit code is 0 only when something passed and nothing failed.
 *
 * Each folder of tests runs in a process of its own: a crash inside a native library is then one failure with a name, and not the end of the run.
 * `property` takes a minute of one core and depends on no clock: it runs beside the others, and what it says is shown when it is done.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");
const BESIDE = "property";
const FOLDERS = [BESIDE, "unit", "integration", "tui", "e2e", "model"];
/** Milliseconds for one test, and for one folder. */
const TEST_LIMIT = 60_000;
const FOLDER_LIMIT = 20 * 60_000;
const SOAK_TEST_LIMIT = 60 * 60_000;
const SOAK_LIMIT = 4 * 60 * 60_000;

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

const bin = (name: string): string => join(ROOT, "node_modules/.bin", name);
/** `bun x` runs a tool's JavaScript with Bun; each line is one counted check. */
const CHECKS: readonly (readonly [name: string, argv: readonly string[]])[] = [
  ["types (tsc)", [process.execPath, bin("tsc"), "--noEmit"]],
  ["lint (oxlint --type-aware)", [process.execPath, bin("oxlint"), "--type-aware", "--deny-warnings"]],
  ["format (oxfmt --check)", [process.execPath, bin("oxfmt"), "--check"]],
  ["unused code and dependencies (knip)", [process.execPath, bin("knip"), "--no-progress"]],
];

rmSync(join(ROOT, "build/test-count"), { force: true });
const names = process.argv.slice(2);
const unknown = names.filter((name) => name !== "check" && name !== "soak" && !FOLDERS.includes(name));
if (unknown.length > 0) {
  console.error(`no such tests: ${unknown.join(", ")}. There are: check, ${FOLDERS.join(", ")}, soak`);
  process.exit(2);
}
const wanted = names.length > 0 ? names : ["check", ...FOLDERS];

const total: Count = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
const add = (count: Count): void => {
  total.passed += count.passed;
  total.failed += count.failed;
  total.skipped += count.skipped;
};
const beside = wanted.includes(BESIDE) ? tests(BESIDE) : null;
for (const name of wanted) if (name !== BESIDE) add(name === "check" ? await checks() : await tests(name));
if (beside !== null) add(await beside);
if (failures.length > 0) console.log(`\nfailed:\n${failures.map((failure) => `  ${failure}`).join("\n")}`);
const line = `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`;
console.log(`\n${line}`);
mkdirSync(join(ROOT, "build"), { recursive: true });
writeFileSync(join(ROOT, "build/test-count"), `${line}\n`);
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);

async function checks(): Promise<Count> {
  const count: Count = { passed: 0, failed: 0, skipped: 0 };
  const note = (name: string, output: string | null): void => {
    console.log(`${output === null ? "ok    " : "FAILED"} check: ${name}`);
    if (output === null) count.passed++;
    else {
      count.failed++;
      failures.push(`check: ${name}`);
      console.log(output.trimEnd());
    }
  };
  for (const [name, argv] of CHECKS) {
    const run = Bun.spawnSync([...argv], { cwd: ROOT, env: environment(), stdin: "ignore" });
    note(name, run.exitCode === 0 ? null : `${run.stdout.toString()}${run.stderr.toString()}`);
  }
  const hosts = readFileSync(join(ROOT, "bun.lock"), "utf8").match(/\w+:\/\/\S+/g);
  note("bun.lock names no host", hosts === null ? null : hosts.slice(0, 3).join("\n"));
  return count;
}

/** One folder by `bun test`. Its own report is what counts; without one (a crash, a hang) the folder itself is the failure. */
async function tests(name: string): Promise<Count> {
  const folder = join(ROOT, "test", name);
  const none: Count = { passed: 0, failed: 0, skipped: 0 };
  if (!existsSync(folder) || [...new Bun.Glob("**/*.test.{ts,tsx}").scanSync(folder)].length === 0) {
    console.log(`no tests in test/${name}`);
    return none;
  }
  const isBeside = name === BESIDE;
  if (!isBeside) console.log(`\ntest/${name}`);
  const soak = name === "soak";
  const report = join(ROOT, "build", `junit-${name}-${process.pid}.xml`);
  mkdirSync(join(ROOT, "build"), { recursive: true });
  const child = Bun.spawn(
    [
      process.execPath,
      "test",
      `./test/${name}/`,
      `--timeout=${soak ? SOAK_TEST_LIMIT : TEST_LIMIT}`,
      "--reporter=junit",
      `--reporter-outfile=${report}`,
    ],
    {
      cwd: ROOT,
      env: environment(),
      stdio: isBeside ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"],
      timeout: soak ? SOAK_LIMIT : FOLDER_LIMIT,
      killSignal: "SIGKILL",
    },
  );
  const stop = (): void => child.kill("SIGTERM");
  process.on("SIGINT", stop).on("SIGTERM", stop);
  const said = Promise.all(
    [child.stdout, child.stderr].map(async (stream) => (stream instanceof ReadableStream ? await stream.text() : "")),
  );
  await child.exited;
  if (isBeside) console.log(`\ntest/${name}\n${(await said).join("")}`);
  process.off("SIGINT", stop).off("SIGTERM", stop);
  const reported = existsSync(report);
  const count = reported ? parseReport(readFileSync(report, "utf8"), name) : none;
  rmSync(report, { force: true });
  // A crash, a time-out, an error outside of any test, a test that ends the process: no report, or one that does not show it.
  if (!reported || (child.exitCode !== 0 && count.failed === 0)) {
    count.failed++;
    failures.push(`test/${name}: ended with ${child.signalCode ?? child.exitCode} outside of any test`);
  }
  return count;
}

/** Bun's JUnit report: totals on the root element, one `testcase` each with `failure` or `skipped` inside. */
function parseReport(xml: string, folder: string): Count {
  const head = /<testsuites\b[^>]*>/.exec(xml)?.[0] ?? "";
  const total = (name: string): number => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  for (const [, attributes] of xml.matchAll(/<testcase\b([^>]*[^/])>\s*<failure/g)) {
    const of = (name: string): string => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes ?? "")?.[1] ?? "";
    failures.push(
      `test/${folder}: ${of("file")} ${of("name")}`
        .replaceAll("&quot;", '"')
        .replaceAll("&gt;", ">")
        .replaceAll("&lt;", "<")
        .replaceAll("&amp;", "&"),
    );
  }
  const failed = total("failures");
  const skipped = total("skipped");
  return { passed: total("tests") - failed - skipped, failed, skipped };
}

/** Without what makes libraries behave as on a build server (Ink draws nothing there): a test must not depend on where it runs. */
function environment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => !/^(CI|CI_.*|CONTINUOUS_INTEGRATION|BUILD_NUMBER|RUN_ID)$/.test(name));
  return Object.fromEntries(kept.filter((entry): entry is [string, string] => entry[1] !== undefined));
}
