/**
 * A cage that stands ready before it is known what for: bubblewrap in namespaces of its own, with a root in which stands what every cage has, waiting for its options
 * (native/helper/standby.c). Nothing of a plan, of a workspace or of what was asked is in it, and nothing runs in it. What is left for a call is what that call alone needs, which is half of the time.
 *
 * Only for what writes nothing and reads no input; one at a time; and not for long, because the host's mounts and libraries may change meanwhile.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { HELPER, type Word } from "../../bark/cage/argv.ts";
import { standbyRoot } from "../../bark/cage/standing.ts";
import type { CagePlan, Limits } from "../../bark/cage/types.ts";
import { packed } from "./arguments.ts";
import { runGroup } from "./cgroup.ts";
import { ALWAYS, needless } from "./devices.ts";
import type { UnpackedParts } from "./parts.ts";

/** Milliseconds that one stands for. */
const STANDS = 60_000;
/** Bytes of options and of words: what a socket takes at once, and the helper reads (MOST_WORDS). More is built anew. */
const MOST = 64 << 10;
/** Of them in a row that ended before they were of use: this host will not have it. */
const VAIN = 2;
/** Descriptors of the child; the helper closes what is left of them (STANDBY_DESCRIPTORS). */
const FD = { options: 3, filters: [4, 5], words: 6, control: 7, out: 8, err: 9 } as const;

type Child = Bun.Subprocess<"ignore", "ignore", "ignore">;

/** Disposed of, it and what is left of it on the host are gone. */
export interface Standby extends Disposable {
  readonly child: Child;
  /** How large its folders are that can be written to. */
  readonly diskBytes: number;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  /** Lets bubblewrap make the rest of the cage. Throws where it is gone. */
  build(options: readonly Word[]): void;
  /** Lets the helper in it begin: with the program, under these limits. False where the host's mounts are not those that it was built from. */
  begin(words: readonly string[], limits: Limits): boolean;
  /** Once nothing of the run lives any more: how the program ended. Null where there never was one. */
  ended(): Promise<{ readonly code: number | null } | null>;
}

export interface StandbyDesk extends Disposable {
  /** The one that stands, or one that begins to; null where this host will not have any. Whoever takes it disposes of it. */
  take(limits: Limits): Standby | null;
  /** Sees to it that one will stand, as it would suit these limits. */
  prepare(limits: Limits): void;
  /** How one went that was taken. */
  report(served: boolean): void;
}

interface Waiting {
  readonly standby: Standby;
  readonly since: number;
  readonly timer: NodeJS.Timeout;
}

export function standbyDesk(parts: UnpackedParts, bwrap: string, monotonic: () => number): StandbyDesk {
  let waiting: Waiting | null = null;
  let vain = 0;
  const end = (): void => {
    if (waiting === null) return;
    const { standby, timer } = waiting;
    waiting = null;
    clearTimeout(timer);
    standby[Symbol.dispose]();
  };
  const prepare = (limits: Limits): void => {
    if (waiting !== null || vain >= VAIN) return;
    let standby: Standby;
    try {
      standby = stand(parts, bwrap, limits);
    } catch {
      // No descriptor or process is left to be had: what a run lacks as well it will say itself.
      vain++;
      return;
    }
    const timer = setTimeout(end, STANDS);
    timer.unref();
    waiting = { standby, since: monotonic(), timer };
  };
  return {
    take(limits) {
      if (waiting !== null && !isAlive(waiting.standby.child)) {
        vain++;
        end();
      }
      // A timer is late where the computer slept.
      if (waiting !== null && monotonic() - waiting.since > STANDS) end();
      prepare(limits);
      if (waiting === null) return null;
      const { standby, timer } = waiting;
      waiting = null;
      clearTimeout(timer);
      standby.child.ref();
      return standby;
    },
    prepare,
    report(served) {
      vain = served ? 0 : vain + 1;
    },
    [Symbol.dispose]() {
      vain = VAIN;
      end();
    },
  };
}

/** Whether it is of a size that one takes. */
export const fits = (words: readonly Word[]): boolean => packed(words).length < MOST;

function stand(parts: UnpackedParts, bwrap: string, limits: Limits): Standby {
  const mounts = mountTable();
  using made = new DisposableStack();
  const group = process.geteuid?.() === 0 ? runGroup(`noctem-${process.pid}-${++standing}`, limits) : null;
  if (group !== null) made.use(group);
  const filters = [parts.filters.deny, parts.filters.allow].map((path) => {
    const fd = openSync(path, "r");
    made.defer(() => closeSync(fd));
    return fd;
  });
  const command = [
    parts.helper,
    "standby",
    ...(group?.folders ?? []).flatMap((folder) => ["--group", folder]),
    ...needless(mounts, [...ALWAYS, parts.folder]).flatMap((folder) => ["--gone", folder]),
    "--root",
    standbyFolder(parts),
    ...standbyRoot(parts, parts.copied, limits.diskBytes),
    "--",
    bwrap,
    "--args",
    String(FD.options),
    "--",
    HELPER,
    "inside",
    "--standby",
    ...[FD.words, FD.control, FD.out, FD.err].map(String),
  ];
  const child = Bun.spawn<"ignore", "ignore", "ignore">(command, {
    stdio: ["ignore", "ignore", "ignore", "pipe", ...filters, "pipe", "pipe", "pipe", "pipe"],
    env: {},
    cwd: "/",
    detached: true,
  });
  child.unref();
  for (const fd of filters) closeSync(fd);
  made.move();
  const open = new Map<number, number>(
    [FD.options, FD.words, FD.control, FD.out, FD.err].map((fd) => [fd, child.stdio[fd] as unknown as number]),
  );
  const pipe = (fd: number): number => open.get(fd) ?? -1;
  // Bun leaves them open, whatever is read from them.
  const close = (fd: number): void => {
    const own = pipe(fd);
    if (open.delete(fd)) closeSync(own);
  };
  const say = (fd: number, words: readonly Word[]): void => {
    const text = packed(words);
    try {
      if (writeSync(pipe(fd), text) !== text.length) throw new Error("a standing cage takes no more words");
    } finally {
      close(fd);
    }
  };
  const stream = (fd: number): ReadableStream<Uint8Array> => Bun.file(pipe(fd)).stream();
  return {
    child,
    diskBytes: limits.diskBytes,
    get stdout() {
      return stream(FD.out);
    },
    get stderr() {
      return stream(FD.err);
    },
    build: (options) => say(FD.options, options),
    begin(words, own) {
      // A view of mounts that are not the host's any more would show a program another folder than the one that was judged.
      if (mountTable() !== mounts) return false;
      if (LIMITED.some((limit) => own[limit] !== limits[limit])) group?.limit(own);
      // By their number it knows whether they are all there.
      say(FD.words, [String(words.length), ...words]);
      return true;
    },
    async ended() {
      let said = "";
      for await (const bytes of stream(FD.control)) {
        said += new TextDecoder().decode(bytes);
        if (END.test(said)) break;
      }
      const code = END.exec(said)?.[1];
      if (code !== undefined) return { code: Number(code) };
      if (said === "") return null;
      // The helper was killed, and all went with it.
      await child.exited;
      return { code: child.exitCode };
    },
    [Symbol.dispose]() {
      if (isAlive(child)) kill(child);
      for (const fd of open.keys()) close(fd);
      group?.[Symbol.dispose]();
    },
  };
}

/** Of the helper, after "begun". */
const END = /^exit (\d+)$/m;

/** Names control groups apart, also from those of runs in cages that are built whole (`runs`). */
let standing = 1_000_000;

const isAlive = ({ exitCode, signalCode }: Child): boolean => exitCode === null && signalCode === null;

/** What a control group bounds. */
const LIMITED = ["processes", "memoryBytes", "diskBytes"] as const satisfies readonly (keyof Limits)[];

/** Descriptors of those filters that a plan is under. */
export const standbyFilters = ({ seccomp }: Pick<CagePlan, "seccomp">): readonly number[] =>
  seccomp === "deny+allow" ? FD.filters : FD.filters.slice(0, 1);

/** Where its root is mounted, in a namespace where nobody else sees it. */
export const standbyFolder = (parts: Pick<UnpackedParts, "folder">): string => join(parts.folder, "standby");

const mountTable = (): string => readFileSync("/proc/self/mountinfo", "utf8");

export function kill(child: Pick<Bun.Subprocess, "pid">): void {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}
