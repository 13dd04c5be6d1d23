/** The small web of web-stage.ts, and the compiled program in it. */
import { join } from "node:path";
import { NO_NETWORK } from "./network.ts";
import { binary, cleanEnvironment } from "./noctem.ts";
import type { WebRun, WebRunResult } from "./web-places.ts";

const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";
/** Why there can be none here; null where there can. */
export const NO_WEB: string | null =
  NO_NETWORK ??
  (Bun.spawnSync(["test", "-f", "/etc/ssl/certs/ca-certificates.crt"]).exitCode === 0
    ? null
    : "needs /etc/ssl/certs/ca-certificates.crt to put a test authority in its place (apt-get install ca-certificates)");

export class WebStage implements AsyncDisposable {
  readonly #child = Bun.spawn(["unshare", "-n", "-m", process.execPath, join(import.meta.dir, "web-stage.ts"), binary()], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...cleanEnvironment, PATH },
  });
  readonly #reader = this.#child.stdout.getReader();
  #text = "";

  async start(): Promise<void> {
    if ((await this.#line()) !== "ready") throw new Error("the web did not come up");
  }

  /** One at a time. */
  async play(run: WebRun): Promise<WebRunResult> {
    void this.#child.stdin.write(`${JSON.stringify(run)}\n`);
    await this.#child.stdin.flush();
    return JSON.parse(await this.#line()) as WebRunResult;
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
      if (done) throw new Error("the web is gone");
      this.#text += new TextDecoder().decode(value);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 3000);
    await this.#child.exited;
    clearTimeout(timer);
  }
}
