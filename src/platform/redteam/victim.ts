/** Somebody else's process, which an attack would hit. Where there is Python it listens for datagrams as well, and one of them ends it. */
import { lstatSync, rmSync } from "node:fs";

/** Milliseconds that it may take to say that it is well. Stopped counts as hit. */
const SAYS = 5_000;

/** Datagrams first, so that it never says that it is well when one has come. Ends with whoever started it. An @ stands for the NUL of an abstract address. */
const LISTEN = `import os,select,socket,sys
s=[]
for p in sys.argv[1:]:
  s.append(socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)); s[-1].bind(p.replace('@','\\0',1) if p[0]=='@' else p)
while True:
  ready=select.select([0]+s,[],[],3600)[0]
  said=b'' if ready!=[0] else os.read(0,64)
  if not said: sys.exit(0)
  os.write(1,said)`;

export class Victim implements Disposable {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "ignore">;
  readonly #says;

  /** Back when it listens, at abstract names (they begin with NUL) and at paths, of which those are made anew. */
  constructor(python: string | null, canary: string, sockets: readonly string[]) {
    const paths = sockets.filter((path) => !path.startsWith("\0"));
    for (const path of paths) rmSync(path, { force: true });
    const command = python === null ? ["cat"] : [python, "-c", LISTEN, ...sockets.map((path) => path.replace("\0", "@"))];
    this.#child = Bun.spawn(command, { stdio: ["pipe", "pipe", "ignore"], env: { CANARY: canary } });
    this.#says = this.#child.stdout.getReader();
    const listens = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
    if (python === null) return;
    for (let tries = 0; tries < 500 && !paths.every(listens); tries++) Bun.sleepSync(2);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Known to be gone. */
  get gone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** It is asked, because the kernel tells of an end, and a datagram ends it, only a while after an attack is over. */
  async isWell(): Promise<boolean> {
    if (this.gone) return false;
    const token = crypto.randomUUID();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), SAYS);
    let said = "";
    try {
      void this.#child.stdin.write(token);
      await this.#child.stdin.flush();
      for (let read = await this.#says.read(); !read.done; read = await this.#says.read()) {
        said += new TextDecoder().decode(read.value);
        if (said.length >= token.length) break;
      }
    } catch {
      // Its end is closed.
    } finally {
      clearTimeout(timer);
    }
    return said === token;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
