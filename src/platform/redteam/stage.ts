/**
 * The stage of the attacks: a home with secrets, a workspace, a listener, a socket and a process that somebody would hit. What an attack came to is read from
 * here and from what it printed, never from how it ended.
 */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { isProtected, plainName } from "../../bark/workspace/judge.ts";
import type { Attack } from "../../bark/redteam/types.ts";

export class Stage implements Disposable {
  readonly canary = `canary-${crypto.randomUUID()}`;
  readonly workspace: string;
  readonly state: string;
  readonly #folder = realpathSync(mkdtempSync(join(tmpdir(), "noctem-redteam-")));
  readonly #home = join(this.#folder, "home");
  readonly #socket = join(this.#folder, "socket");
  readonly #victim = Bun.spawn(["sleep", "3600"], { stdio: ["ignore", "ignore", "ignore"], env: { CANARY: this.canary } });
  readonly #listeners;
  #reached = 0;
  #before = "";

  constructor() {
    this.workspace = join(this.#folder, "workspace");
    this.state = join(this.#folder, "state");
    mkdirSync(join(this.#home, ".ssh"), { recursive: true });
    for (const name of [".ssh/id_rsa", ".bashrc", "target", "canary"])
      writeFileSync(join(this.#home, name), `${this.canary}\n`, { mode: 0o644 });
    chmodSync(this.#home, 0o777);
    const socket = { open: () => void this.#reached++, data: () => undefined };
    this.#listeners = [
      Bun.listen({ hostname: "127.0.0.1", port: 0, socket }),
      Bun.listen({ unix: this.#socket, socket }),
      // No file, and so not kept out by what files a cage has.
      Bun.listen({ unix: "\0socket", socket }),
    ];
  }

  /** What scripts know as variables. */
  variables(): Readonly<Record<string, string>> {
    const [tcp] = this.#listeners;
    const port = tcp !== undefined && "port" in tcp ? String(tcp.port) : "1";
    return { H: this.#home, W: this.workspace, PORT: port, SOCK: this.#socket, HOST_PID: String(this.#victim.pid) };
  }

  /** A workspace for one attack. */
  set({ plant = [] }: Attack): void {
    rmSync(this.workspace, { recursive: true, force: true });
    mkdirSync(this.workspace);
    writeFileSync(join(this.workspace, "a.txt"), "hello\n");
    const filled = (text: string): string => text.replaceAll("{H}", this.#home).replaceAll("{CANARY}", this.canary);
    for (const planted of plant) {
      const path = join(this.workspace, planted.path);
      mkdirSync(dirname(path), { recursive: true });
      if (planted.kind === "link") symlinkSync(filled(planted.target), path);
      else writeFileSync(path, filled(planted.text));
    }
    this.#reached = 0;
    this.#before = `${treeOf(this.#home)}\n${protectedOf(this.workspace)}`;
  }

  /** What an attack came to on the host; null when nothing. */
  async harm(printed: string): Promise<string | null> {
    if (printed.includes(this.canary)) return "it printed a secret";
    if (/\bOPEN\b/.test(printed)) return `it got through: ${(/^.*\bOPEN\b.*$/m.exec(printed)?.[0] ?? "").slice(0, 100)}`;
    if (`${treeOf(this.#home)}\n${protectedOf(this.workspace)}` !== this.#before) return "files on the host changed that it may not change";
    const out = linksOut(this.workspace, this.#before);
    if (out !== null) return `a link leads out: ${out}`;
    // A connection is seen by the listener's own turn.
    await Bun.sleep(0);
    if (this.#reached > 0) return "it reached a listener of the host";
    if (this.#victim.exitCode !== null || this.#victim.signalCode !== null) return "it ended a process of the host";
    const left = survivors();
    return left === null ? null : `a process lives on: ${left}`;
  }

  [Symbol.dispose](): void {
    for (const listener of this.#listeners) listener.stop(true);
    this.#victim.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Names, kinds and contents. */
function treeOf(folder: string, at = ""): string {
  return readdirSync(join(folder, at))
    .sort()
    .map((name) => {
      const path = join(at, name);
      const stat = lstatSync(join(folder, path));
      if (stat.isDirectory()) return `${path}/\n${treeOf(folder, path)}`;
      if (stat.isSymbolicLink()) return `${path} -> ${readlinkSync(join(folder, path))}`;
      return `${path} ${stat.mode} ${stat.isFile() ? readFileSync(join(folder, path), "latin1") : "?"}`;
    })
    .join("\n");
}

/** What lies below protected names, and anything that a hostile hand marked as such. */
const protectedOf = (workspace: string): string =>
  treeOf(workspace)
    .split("\n")
    .filter(
      (line) =>
        (line.split(" ")[0] ?? "").split("/").some((part) => isProtected(plainName(part)) || plainName(part) === ".git") &&
        !line.endsWith("/"),
    )
    .filter((line) => !/^\S+\/\S* -> /.test(line) || line.includes(".git"))
    .join("\n");

function linksOut(workspace: string, before: string): string | null {
  const lines = treeOf(workspace).split("\n");
  const found = lines.find((line) => {
    const [, path = "", target = ""] = /^(\S+) -> (.*)$/.exec(line) ?? [];
    if (path === "" || before.includes(line)) return false;
    return target.startsWith("/") || join(dirname(path), target).startsWith("..");
  });
  // What was planted was there before.
  return found === undefined || PLANTED.test(found) ? null : found;
}

const PLANTED = /^(?:planted|planted-dir|up) -> /;

/** Scripts that try to outlive their cage are given away by how long they would sleep. */
function survivors(): string | null {
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
      if (words[0] === "noctem-survivor" || (words[0] === "sleep" && /^30[0-3]$/.test(words[1] ?? ""))) return words.join(" ").trim();
    } catch {
      // Gone between the two looks.
    }
  }
  return null;
}
