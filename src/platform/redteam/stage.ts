/**
 * The stage of the attacks: a home with secrets, a folder like Noctem's own, a workspace, listeners, and a process that somebody would hit. What an attack came
 * to is read from here and from what it printed, never from how it ended.
 */
import {
  chmodSync,
  existsSync,
  linkSync,
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
import { type StickLayout, stickLayout } from "../../config/layout.ts";
import { NAMES_TO_TRY } from "../../bark/redteam/attacks/names.ts";
import { plainName } from "../../bark/workspace/judge.ts";
import type { Attack, Planted } from "../../bark/redteam/types.ts";
import { sweepLeftOver } from "../native/left-over.ts";
import { ownName } from "../native/owner.ts";
import type { HostNetwork } from "../proxy/dial.ts";
import { ForbiddenListener } from "./listener.ts";
import { StageNetwork } from "./network.ts";
import { Victim } from "./victim.ts";

/** Milliseconds that a killed process may take to be gone, and how often it is looked for. */
const DYING = 2_000;
const LOOK = 20;

/** Every cage has its own of these. */
const OWN = ["ipc", "mnt", "net", "pid", "user", "uts"];

export class Stage implements Disposable {
  readonly canary = `canary-${crypto.randomUUID()}`;
  readonly workspace: string;
  readonly state: string;
  readonly folder: string;
  readonly home: string;
  readonly layout: StickLayout;
  /** In the environment of everything that runs in a cage, and a time that nothing else sleeps. */
  readonly #mark = String(1_000_000 + Math.trunc((crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2));
  readonly #listeners: readonly ForbiddenListener[];
  readonly #python: string | null;
  #victim: Victim | null = null;
  readonly #internet = new StageNetwork();
  #before = "";

  constructor(python: string | null) {
    sweepLeftOver(tmpdir());
    this.#python = python;
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), ownName())));
    this.home = join(this.folder, "home");
    this.workspace = join(this.folder, "workspace");
    this.state = join(this.folder, "state");
    this.layout = stickLayout(join(this.folder, "stick"));
    this.#furnish();
    // The abstract ones are no files, and so not kept out by what files a cage has.
    const places = [null, this.#path("socket"), this.#path("bus"), this.#path("system_bus_socket"), `\0${this.#abstract}`];
    this.#listeners = [...places, `\0${this.#abstract}-bus`].map((place) => new ForbiddenListener(place));
  }

  /** Also what a cage may not have changed: it lies in the home and in Noctem's own folder. */
  #furnish(): void {
    mkdirSync(join(this.home, ".ssh"), { recursive: true });
    for (const name of [".ssh/id_rsa", ".bashrc", "target", "canary"])
      writeFileSync(join(this.home, name), `${this.canary}\n`, { mode: 0o644 });
    chmodSync(this.home, 0o777);
    const { root, keys, heart, settings, undo, work } = this.layout;
    for (const folder of [root, keys, undo, work]) mkdirSync(folder, { recursive: true });
    for (const file of [heart, join(keys, "stick.key"), join(root, "noctem")]) writeFileSync(file, `${this.canary}\n`, { mode: 0o755 });
    writeFileSync(settings, "{}\n");
  }

  #path(name: string): string {
    return join(this.folder, name);
  }
  get #abstract(): string {
    return `noctem-${this.#mark}`;
  }

  /** What a cage's proxy takes for the internet. */
  get network(): HostNetwork {
    return this.#internet.network;
  }

  /** What scripts know as variables. */
  variables(): Readonly<Record<string, string>> {
    return {
      H: this.home,
      W: this.workspace,
      STICK: this.layout.root,
      PORT: String(this.#listeners[0]?.port ?? 1),
      SOCK: this.#path("socket"),
      ABSTRACT: this.#abstract,
      BUS: this.#path("bus"),
      SYSTEM_BUS: this.#path("system_bus_socket"),
      ABSTRACT_BUS: `${this.#abstract}-bus`,
      HOST_PID: String(this.#victim?.pid ?? 1),
      HOST_NAMESPACES: OWN.map((name) => readlinkSync(`/proc/self/ns/${name}`)).join(" "),
      MARK: this.#mark,
      NAMES: NAMES_TO_TRY,
    };
  }

  /** A workspace for one attack. */
  set({ plant = [] }: Pick<Attack, "plant">): void {
    rmSync(this.workspace, { recursive: true, force: true });
    mkdirSync(this.workspace);
    writeFileSync(join(this.workspace, "a.txt"), "hello\n");
    for (const planted of plant) this.plant(planted);
    if (this.#victim === null || this.#victim.gone) this.#victim = this.#newVictim();
    this.begin();
  }

  /** What stands now is what may not change. */
  begin(): void {
    for (const listener of this.#listeners) listener.begin();
    this.#internet.begin();
    this.#before = this.#kept();
  }

  plant(planted: Planted): void {
    const path = join(this.workspace, planted.path);
    mkdirSync(dirname(path), { recursive: true });
    const filled = (text: string): string =>
      text.replaceAll("{H}", this.home).replaceAll("{STICK}", this.layout.root).replaceAll("{CANARY}", this.canary);
    switch (planted.kind) {
      case "link":
        symlinkSync(filled(planted.target), path);
        return;
      case "hard link":
        linkSync(filled(planted.target), path);
        return;
      case "file":
        writeFileSync(path, filled(planted.text));
    }
  }

  /** Beside the workspace; what a race swaps for a folder of it. */
  linkTo(path: string, target: string): void {
    rmSync(path, { recursive: true, force: true });
    symlinkSync(target, path);
  }

  #newVictim(): Victim {
    return new Victim(this.#python, this.canary, [this.#path("socket.dgram"), this.#path("bus.dgram"), `\0${this.#abstract}`]);
  }

  #kept(): string {
    return [this.home, this.layout.root].map((folder) => treeOf(folder)).join("\n") + protectedOf(this.workspace);
  }

  /** What an attack came to on the host; null when nothing. */
  async harm(printed: string): Promise<string | null> {
    if (printed.includes(this.canary)) return "it printed a secret";
    if (/\bOPEN\b/.test(printed)) return `it got through: ${(/^.*\bOPEN\b.*$/m.exec(printed)?.[0] ?? "").slice(0, 100)}`;
    // What cannot say so because nobody hears it any more leaves a file.
    if (existsSync(join(this.workspace, "OPEN"))) return "it went on beyond its limit";
    if (this.#kept() !== this.#before) return "files on the host changed that it may not change";
    const way = await this.#internet.harm();
    if (way !== null) return way;
    const out = linksOut(this.workspace, this.#before);
    if (out !== null) return `a link leads out: ${out}`;
    const reached = await Promise.all(this.#listeners.map(async (listener) => await listener.reached()));
    if (reached.includes(true)) return "it reached a listener of the host";
    if (this.#victim !== null && !(await this.#victim.isWell())) {
      this.#victim[Symbol.dispose]();
      this.#victim = null;
      return "it reached or ended a process of the host";
    }
    const left = await this.survivors();
    return left === null ? null : `a process lives on: ${left}`;
  }

  /** What was started in a cage of this stage and lives, though it has had its time to die. */
  async survivors(): Promise<string | null> {
    for (let waited = 0; ; waited += LOOK) {
      const left = this.#marked();
      if (left === null || waited >= DYING) return left;
      await Bun.sleep(LOOK);
    }
  }

  #marked(): string | null {
    for (const pid of readdirSync("/proc")) {
      if (!/^\d+$/.test(pid)) continue;
      const words = readOf(pid, "cmdline");
      if (words.split("\0").includes(this.#mark) || readOf(pid, "environ").includes(`MARK=${this.#mark}`))
        return (
          words
            .replaceAll(/[\0\n]/g, " ")
            .trim()
            .slice(0, 100) || pid
        );
    }
    return null;
  }

  [Symbol.dispose](): void {
    for (const listener of this.#listeners) listener[Symbol.dispose]();
    this.#internet[Symbol.dispose]();
    this.#victim?.[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function readOf(pid: string, name: "cmdline" | "environ"): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    // Gone between the two looks, or another user's.
    return "";
  }
}

/** Names, kinds and contents. */
export function treeOf(folder: string, at = ""): string {
  return readdirSync(join(folder, at))
    .sort()
    .map((name) => {
      const path = join(at, name);
      const stat = lstatSync(join(folder, path), { throwIfNoEntry: false });
      if (stat === undefined) return "";
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
    .filter((line) => (line.split(" ")[0] ?? "").split("/").some((part) => isGuarded(plainName(part))) && !line.endsWith("/"))
    .filter((line) => !/^\S+\/\S* -> /.test(line) || line.includes(".git"))
    .join("\n");

const GUARDED = new Set(NAMES_TO_TRY.split(" "));
/** By our own list and not by the judge's: it is the judge that is on trial. */
const isGuarded = (name: string): boolean => name === ".git" || name.startsWith(".noctem") || GUARDED.has(name);

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
