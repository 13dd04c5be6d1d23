/**
 * The composition root: argv picks one entry, and that entry alone is loaded. Everything behind an `import()` here is a chunk of its own in the
 * executable, so that `--version` reads 6 ms worth of code and not the terminal UI, the engine and the parsers (measured: 45 ms when eager).
 */
import { version } from "../package.json";

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  // Each entry reports its own bugs with a file to send; what arrives here is an entry that could not even be loaded.
  console.error(`noctem: it cannot start: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

async function main(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  if (first === "--version" && rest.length === 0) {
    return await sayVersion();
  }
  if (first === "__engine") return (await import("./engine/child.ts")).engineMain(rest);
  if (first === "__fetch") return (await import("./fetch/child.ts")).fetchMain();
  if (first === "__bindtest") return (await import("./platform/bindtest.ts")).bindTestMain(rest);
  return (await import("./cli/run.ts")).run([...argv]);
}

/** Not by `console.log`, which says nothing of a full disk; a reader that has gone is no fault. */
async function sayVersion(): Promise<number> {
  try {
    await Bun.write(Bun.stdout, `noctem ${version}\n`);
    return 0;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EPIPE") return 0;
    console.error("noctem: the version could not be written: the disk is full.");
    return 7;
  }
}
