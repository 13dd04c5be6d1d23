/**
 * The composition root: argv picks one entry, and that entry alone is loaded. Everything behind an `import()` here is a chunk of its own in the
 * executable, so that `--version` reads 6 ms worth of code and not the terminal UI, the engine and the parsers (measured: 45 ms when eager).
 */
import { version } from "../package.json";

process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  switch (first) {
    case "--version":
      if (rest.length > 0) break;
      console.log(`noctem ${version}`);
      return 0;
    case "__engine":
      return (await import("./engine/child.ts")).engineMain(rest);
    case "__bindtest":
      return (await import("./platform/bindtest.ts")).bindTestMain(rest);
    default:
  }
  return (await import("./cli/run.ts")).run([...argv]);
}
