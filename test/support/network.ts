/** A network of its own for tests, without a way out. */
import { join } from "node:path";
import { NO_CAGE } from "./cage.ts";
import type { PersonScenario, Scenario, StageResult } from "./net-names.ts";
import { binary, cleanEnvironment, tempDir } from "./noctem.ts";
import type { WebRun, WebRunResult } from "./web-places.ts";

const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";
const works = (command: string): boolean =>
  Bun.spawnSync(["sh", "-c", command], { stdio: ["ignore", "ignore", "ignore"], env: { PATH } }).exitCode === 0;

/** An ordinary user is root in a user namespace of their own. */
const UNSHARE = ["unshare", ...(process.getuid?.() === 0 ? [] : ["-r"]), "-n", "-m"];

/** Why there can be none here; null where there can. */
export const NO_NETWORK: string | null =
  NO_CAGE ??
  (!works(`${UNSHARE.join(" ")} ip link set lo up`)
    ? "needs network namespaces and ip (apt-get install iproute2)"
    : !works("command -v openssl && command -v curl && command -v wget && test -x /usr/bin/python3")
      ? "needs openssl, curl, wget and python3"
      : null);

/** Why there can be no web of servers that programs trust; null where there can. */
export const NO_WEB: string | null =
  NO_NETWORK ??
  (works("test -f /etc/ssl/certs/ca-certificates.crt")
    ? null
    : "needs /etc/ssl/certs/ca-certificates.crt to put a test authority in its place (apt-get install ca-certificates)");

/** A script of this folder in such a network. It says "ready", and then for each line of JSON what came of it. */
abstract class StageChild<Wanted, Result> implements AsyncDisposable {
  /** Nothing of it is left, however the stage ends. */
  readonly #folder = tempDir("noctem-net-");
  readonly #child;
  readonly #reader;
  #text = "";

  constructor(script: string, ...args: readonly string[]) {
    this.#child = Bun.spawn([...UNSHARE, process.execPath, join(import.meta.dir, script), ...args], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...cleanEnvironment, PATH, TMPDIR: this.#folder.path },
    });
    this.#reader = this.#child.stdout.getReader();
  }

  async start(): Promise<void> {
    if ((await this.#line()) !== "ready") throw new Error("the stage did not come up");
  }

  /** One at a time. */
  async play(wanted: Wanted): Promise<Result> {
    void this.#child.stdin.write(`${JSON.stringify(wanted)}\n`);
    await this.#child.stdin.flush();
    return JSON.parse(await this.#line()) as Result;
  }

  async #line(): Promise<string> {
    for (;;) {
      const at = this.#text.indexOf("\n");
      if (at >= 0) {
        const line = this.#text.slice(0, at);
        this.#text = this.#text.slice(at + 1);
        return line;
      }
      const { done, value } = await this.#reader.read();
      if (done) throw new Error("the stage is gone");
      this.#text += new TextDecoder().decode(value);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 3000);
    await this.#child.exited;
    clearTimeout(timer);
    this.#folder[Symbol.dispose]();
  }
}

/** The servers of net-names.ts around a cage (net-stage.ts). */
export class NetworkStage extends StageChild<Scenario | PersonScenario, StageResult> {
  constructor() {
    super("net-stage.ts");
  }
}

/** The small web of web-places.ts around the compiled program (web-stage.ts). */
export class WebStage extends StageChild<WebRun, WebRunResult> {
  constructor() {
    super("web-stage.ts", binary());
  }
}
