/** A process that swaps a folder of a workspace for a link to another place and back, as fast as it can, until it is disposed of. */
export interface Swapper extends AsyncDisposable {
  /** Swaps that were made by now, as it says. */
  count(): number;
}

/** `folder` is a name in `workspace`; `outside` is where the link leads. */
export function swapping(workspace: string, folder: string, outside: string): Swapper {
  const child = Bun.spawn(
    [
      process.execPath,
      "-e",
      `const { renameSync, symlinkSync, unlinkSync } = require("node:fs"); process.chdir(${JSON.stringify(workspace)});
      const [d, e, to] = ${JSON.stringify([folder, `${folder}.aside`, outside])};
      for (let n = 0; ; n++) { try { renameSync(d, e); symlinkSync(to, d); unlinkSync(d); renameSync(e, d); } catch {} if (n % 100 === 0) console.log(n); }`,
    ],
    { stdio: ["ignore", "pipe", "ignore"] },
  );
  let seen = 0;
  const reading = (async () => {
    for await (const bytes of child.stdout) seen = Number(new TextDecoder().decode(bytes).trim().split("\n").at(-1) ?? seen);
  })();
  return {
    count: () => seen,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      await reading;
    },
  };
}
