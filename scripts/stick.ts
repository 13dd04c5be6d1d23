/**
 * `make stick DEST=FOLDER`: puts Noctem, its models and its packs on a stick, or brings them up to date. Checks room and file size limits before it writes,
 * compares hashes after, replaces whole files only, and never deletes anything: a heart, keys and foreign files on the stick stay as they are.
 */
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { err, ok, type Result } from "../src/lib/result.ts";
import { type Filesystem, filesystemOf } from "../src/platform/filesystem.ts";

export interface StickRequest {
  /** The folder that `make build` fills. */
  readonly from: string;
  readonly dest: string;
  readonly filesystem: Filesystem;
  readonly say: (line: string) => void;
}

export interface StickSummary {
  readonly copied: readonly string[];
  readonly same: readonly string[];
}

/** Everything to be copied, relative to both folders; `as` differs for the second name of the program. */
interface Item {
  readonly path: string;
  readonly as: string;
  readonly size: number;
}

/** The error is a sentence for the person. */
export function makeStick({ from, dest, filesystem, say }: StickRequest): Result<StickSummary, string> {
  if (realpathSync(dest) === realpathSync(from)) return err("DEST is the folder that the build writes to.");
  if (filesystem.readOnly) return err(`${filesystem.mountPoint} is mounted read-only.`);
  const items = itemsIn(from, filesystem);

  const large = items.filter((item) => item.size > filesystem.maxFileSize);
  if (large.length > 0)
    return err(
      `${filesystem.type} cannot hold a file of 4 GiB or more:\n${large.map((item) => `  ${item.path} (${gigabytes(item.size)})`).join("\n")}\n` +
        "Take a model that is split into parts (NAME-00001-of-0000N.gguf; llama.cpp's llama-gguf-split makes them),\n" +
        "or format the stick as exFAT, which erases it.",
    );

  const same: string[] = [];
  const todo: Item[] = [];
  for (const item of items) {
    const target = join(dest, item.as);
    if (existsSync(target) && statSync(target).size === item.size && hash(target) === hash(join(from, item.path))) same.push(item.as);
    else todo.push(item);
  }
  // The old file stays until the new one is whole, so nothing is won back by replacing.
  const needed = todo.reduce((sum, item) => sum + item.size, 1 << 20);
  if (needed > filesystem.free)
    return err(`There is room for ${gigabytes(filesystem.free)}, and ${gigabytes(needed)} are needed. Nothing was written.`);

  const copied: string[] = [];
  for (const item of todo) {
    say(`${item.as} (${gigabytes(item.size)})`);
    try {
      copy(join(from, item.path), join(dest, item.as));
    } catch (error) {
      return err(`${item.as}: ${error instanceof Error ? error.message : String(error)}`);
    }
    copied.push(item.as);
  }
  const readme = join(dest, "WINDOWS-README.txt");
  if (!existsSync(readme) || readFileSync(readme, "utf8") !== WINDOWS_README)
    replace(readme, (part) => writeFileSync(part, WINDOWS_README, { flush: true }));
  return ok({ copied, same });
}

/** What to type on the stick, with the ways around a mount that runs no programs. */
export function howToStart(dest: string, { type, noexec, showexec, mountPoint }: Filesystem): string {
  const program = showexec ? "./noctem.exe" : "./noctem";
  const start = `cd '${dest.replaceAll("'", "'\\''")}' && ${program}`;
  if (noexec) return `This mount runs no programs (noexec). As root: mount -o remount,exec '${mountPoint}'\nThen: ${start}`;
  if (showexec)
    return `Start it with: ${start}\n(Mounted this way, ${type} runs a program only when its name ends in .exe. It is the same Linux program.)`;
  return `Start it with: ${start}`;
}

function itemsIn(from: string, { family }: Filesystem): Item[] {
  const item = (path: string, as = path): Item => ({ path, as, size: statSync(join(from, path)).size });
  const program = [item("noctem")];
  if (family === "fat") program.push(item("noctem", "noctem.exe"));
  const models = filesBelow(from, "models").filter((path) => /\.gguf(\.[a-z0-9.-]+)?$/i.test(path) && !path.endsWith(".part"));
  return [...program, ...[...models, ...filesBelow(from, "packs")].map((path) => item(path))];
}

/** Regular files, hidden ones left out: those are half downloads. */
function filesBelow(from: string, folder: string): string[] {
  const top = join(from, folder);
  if (!existsSync(top)) return [];
  return readdirSync(top, { recursive: true, encoding: "utf8" })
    .filter((path) => !path.split("/").some((part) => part.startsWith(".")) && statSync(join(top, path)).isFile())
    .sort()
    .map((path) => join(folder, path));
}

/** Copies beside the target, reads it back, and only then takes the target's place. */
function copy(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  replace(target, (part) => {
    const written = write(source, part);
    if (hash(part) !== written) throw new Error("what was read back is not what was written. The stick may be failing.");
    chmodSync(part, statSync(source).mode & 0o777);
  });
}

function replace(target: string, fill: (part: string) => void): void {
  if (existsSync(target) && !lstatSync(target).isFile()) throw new Error("there is something that is not a file");
  const part = `${target}.noctem-part`;
  try {
    fill(part);
    renameSync(part, target);
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
  const folder = openSync(dirname(target), "r");
  try {
    fsyncSync(folder);
  } catch {
    // Some FUSE file systems know no fsync of a folder.
  } finally {
    closeSync(folder);
  }
}

const BLOCK = 4 << 20;

/** Answers the SHA-256 of what was read from `source`. */
function write(source: string, part: string): string {
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = Buffer.allocUnsafe(BLOCK);
  const input = openSync(source, "r");
  const output = openSync(part, "w");
  try {
    for (;;) {
      const size = readSync(input, buffer, 0, BLOCK, null);
      if (size === 0) break;
      hasher.update(buffer.subarray(0, size));
      for (let done = 0; done < size;) done += writeSync(output, buffer, done, size - done);
    }
    fsyncSync(output);
  } finally {
    closeSync(input);
    closeSync(output);
  }
  return hasher.digest("hex");
}

/** SHA-256, past the page cache where the file system lets us: what counts is what lies on the stick, not what we just put in memory. */
function hash(path: string): string {
  try {
    return read(path, constants.O_RDONLY | constants.O_DIRECT);
  } catch {
    return read(path, constants.O_RDONLY);
  }
}

function read(path: string, flags: number): string {
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = Buffer.allocUnsafeSlow(BLOCK);
  const file = openSync(path, flags);
  try {
    for (let at = 0; ;) {
      const size = readSync(file, buffer, 0, BLOCK, at);
      if (size === 0) return hasher.digest("hex");
      hasher.update(buffer.subarray(0, size));
      at += size;
    }
  } finally {
    closeSync(file);
  }
}

const gigabytes = (bytes: number): string =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;

const WINDOWS_README = `Noctem is a program for Linux. "noctem.exe", if it is here, is the same Linux program:
some Linux desktops start programs from a stick only when they are named so.
Windows itself cannot run it.

On Windows it runs in WSL2 (Windows Subsystem for Linux):

  1. Once, in a terminal as administrator:   wsl --install
  2. Start "Ubuntu" from the start menu.
  3. Say the stick is drive E:               sudo mkdir -p /mnt/e
                                             sudo mount -t drvfs E: /mnt/e
                                             cd /mnt/e
                                             ./noctem

Models and conversations stay on the stick. Take it out only after Noctem has ended.
`.replaceAll("\n", "\r\n");

function main(argument: string | undefined): number {
  const complain = (text: string): number => {
    console.error(text);
    return 1;
  };
  if (argument === undefined || argument === "") return complain("Say where: make stick DEST=/media/you/STICK");
  const dest = resolve(argument);
  if (!existsSync(dest) || !statSync(dest).isDirectory()) return complain(`${dest} is not a folder. Is the stick mounted?`);
  const filesystem = filesystemOf(dest);
  if (!filesystem.ok) return complain(`Cannot tell which file system ${dest} lies on.`);
  const { type, mountPoint, free } = filesystem.value;
  console.log(`${dest}: ${type} on ${mountPoint}, ${gigabytes(free)} free`);
  const made = makeStick({
    from: resolve(import.meta.dir, "../dist"),
    dest,
    filesystem: filesystem.value,
    say: (line) => console.log(`  ${line}`),
  });
  if (!made.ok) return complain(made.error);
  console.log(
    made.value.copied.length === 0
      ? "Everything was there already."
      : `${made.value.copied.length} files copied and verified, ${made.value.same.length} were there already.`,
  );
  if (!made.value.copied.concat(made.value.same).some((path) => path.endsWith(".gguf")))
    console.log("There is no model yet: ./noctem models pull");
  console.log(howToStart(dest, filesystem.value));
  return 0;
}

if (import.meta.main) process.exit(main(process.argv[2]));
