/**
 * A disk that loses power. From a trace of what a process wrote and synced it makes images of what a stick could hold afterwards: everything that
 * was synced, and of what was not, any sectors, whole, torn or not at all.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";

export type Step =
  | { readonly kind: "write"; readonly file: string; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly file: string; readonly size: number }
  | { readonly kind: "sync"; readonly file: string }
  | { readonly kind: "sync-folder" }
  | { readonly kind: "create"; readonly file: string }
  | { readonly kind: "remove"; readonly file: string }
  | { readonly kind: "acknowledge"; readonly what: string };

/** For strace; file names with descriptors, all bytes in hex. */
export const STRACE = [
  "-f",
  "-y",
  "-xx",
  "-s",
  "1000000",
  "-e",
  "trace=openat,open,pwrite64,write,ftruncate,fsync,fdatasync,unlink,unlinkat,rename,mmap",
];

const SECTOR = 512;

/** Steps on files of `folder`, by base name, and lines that the process printed. Throws on a way of writing that it does not know. */
export function readTrace(path: string, folder: string): Step[] {
  const steps: Step[] = [];
  const known = new Set<string>();
  for (const line of joinInterrupted(readFileSync(path, "latin1").split("\n"))) {
    const call = /^(?:\d+\s+)?(\w+)\((.*)\)\s*=\s*(-?\d+|0x[0-9a-f]+)/u.exec(line);
    if (call === null) continue;
    const [, name = "", args = "", result = ""] = call;
    if (result.startsWith("-")) continue;
    const at = unhex(/^\d+<([^>]*)>/u.exec(args)?.[1] ?? "");
    if (name === "write" && args.startsWith("1<")) {
      for (const said of textOf(bytesIn(args)).split("\n"))
        if (said.startsWith("ack ")) steps.push({ kind: "acknowledge", what: said.slice(4) });
      continue;
    }
    if (name === "openat" || name === "open") {
      const file = unhex(/"([^"]*)"/u.exec(args)?.[1] ?? "");
      if (!file.startsWith(`${folder}/`) || !args.includes("O_CREAT") || known.has(file)) continue;
      known.add(file);
      steps.push({ kind: "create", file: basename(file) });
    } else if (name === "unlink" || name === "unlinkat" || name === "rename") {
      const file = unhex(/"([^"]*)"/u.exec(args)?.[1] ?? "");
      if (!file.startsWith(`${folder}/`)) continue;
      if (name === "rename") throw new Error(`a rename in the heart's folder: ${line.slice(0, 200)}`);
      known.delete(file);
      steps.push({ kind: "remove", file: basename(file) });
    } else if (at === folder && (name === "fsync" || name === "fdatasync")) steps.push({ kind: "sync-folder" });
    else if (at.startsWith(`${folder}/`)) {
      const file = basename(at);
      if (name === "pwrite64") steps.push({ kind: "write", file, at: Number(args.slice(args.lastIndexOf(",") + 1)), bytes: bytesIn(args) });
      else if (name === "ftruncate") steps.push({ kind: "truncate", file, size: Number(args.slice(args.lastIndexOf(",") + 1)) });
      else if (name === "fsync" || name === "fdatasync") steps.push({ kind: "sync", file });
      else if (name === "write" || (name === "mmap" && args.includes("PROT_WRITE") && args.includes("MAP_SHARED"))) {
        throw new Error(`a way of writing that the simulation does not know: ${line.slice(0, 200)}`);
      }
    }
  }
  return steps;
}

/** strace breaks a call in two when another thread comes in between. */
function joinInterrupted(lines: readonly string[]): string[] {
  const open = new Map<string, string>();
  return lines.flatMap((line) => {
    const pid = /^(\d+)\s/u.exec(line)?.[1] ?? "";
    const begun = line.indexOf(" <unfinished ...>");
    if (begun !== -1) {
      open.set(pid, line.slice(0, begun));
      return [];
    }
    const resumed = /<\.\.\. \w+ resumed>/u.exec(line);
    return resumed === null ? [line] : [(open.get(pid) ?? "") + line.slice(resumed.index + resumed[0].length)];
  });
}

const unhex = (text: string): string => textOf(fromHex(text));
const fromHex = (text: string): Uint8Array =>
  text.includes("\\x") ? Uint8Array.fromHex(text.replaceAll("\\x", "")) : new TextEncoder().encode(text);
const bytesIn = (args: string): Uint8Array => fromHex(/"([^"]*)"/u.exec(args)?.[1] ?? "");
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

interface Disk {
  /** What is surely there; null: no such file. */
  safe: Uint8Array | null;
  /** Since the last sync, oldest first. */
  pending: Exclude<Step, { kind: "sync" | "sync-folder" | "acknowledge" }>[];
  /** Its name is in the folder for sure. */
  named: boolean;
}

/** Replays `steps` and asks for images after any of them. */
export class PowerCut {
  readonly #disks = new Map<string, Disk>();

  constructor(files: ReadonlyMap<string, Uint8Array>) {
    for (const [name, bytes] of files) this.#disks.set(name, { safe: bytes, pending: [], named: true });
  }

  apply(step: Step): void {
    if (step.kind === "acknowledge") return;
    if (step.kind === "sync-folder") {
      for (const disk of this.#disks.values()) {
        disk.named = true;
        if (disk.pending.some((pending) => pending.kind === "remove")) Object.assign(disk, { safe: null, pending: [] });
      }
      return;
    }
    const disk = this.#disks.get(step.file) ?? { safe: null, pending: [], named: false };
    this.#disks.set(step.file, disk);
    if (step.kind === "sync") {
      // The bytes are safe; whether a new name is, only the folder's sync says: the file systems of sticks have no journal.
      disk.safe = contentsOf(disk, disk.pending);
      disk.pending = [];
    } else disk.pending.push(step);
  }

  /** One of the many states that the medium may be in now. */
  image(random: () => number): Map<string, Uint8Array> {
    const files = new Map<string, Uint8Array>();
    for (const [name, disk] of this.#disks) {
      const kept = disk.pending.flatMap((step) => partOf(step, random));
      const bytes = contentsOf(disk, kept);
      if (bytes !== null && (disk.named || random() < 0.5)) files.set(name, bytes);
    }
    return files;
  }
}

/** Whole, not at all, or some of its sectors, of which one may be torn: half new, half old. */
function partOf(step: Disk["pending"][number], random: () => number): Disk["pending"] {
  const fate = random();
  if (fate < 0.35) return [step];
  if (fate < 0.6 || step.kind !== "write") return random() < 0.5 ? [step] : [];
  const parts: Disk["pending"] = [];
  for (let from = 0; from < step.bytes.length; from += SECTOR) {
    const luck = random();
    if (luck < 0.45) continue;
    const whole = step.bytes.subarray(from, from + SECTOR);
    const bytes = luck < 0.55 ? whole.subarray(0, Math.floor(random() * whole.length)) : whole;
    parts.push({ ...step, at: step.at + from, bytes });
  }
  return parts;
}

function contentsOf({ safe }: Disk, steps: Disk["pending"]): Uint8Array | null {
  let bytes = safe;
  for (const step of steps) {
    if (step.kind === "remove") bytes = null;
    else if (step.kind === "create") bytes ??= new Uint8Array();
    else if (step.kind === "truncate") bytes = resized(bytes ?? new Uint8Array(), step.size);
    else {
      const wide = resized(bytes ?? new Uint8Array(), Math.max(bytes?.length ?? 0, step.at + step.bytes.length));
      wide.set(step.bytes, step.at);
      bytes = wide;
    }
  }
  return bytes;
}

function resized(bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  out.set(bytes.subarray(0, size));
  return out;
}
