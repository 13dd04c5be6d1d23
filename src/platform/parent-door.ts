/**
 * What stands between a person at the console and an approval of tier 3 where the stick has a parent: the passphrase of the parent's key, or a PIN. The PIN opens approvals for minutes; it never opens the key,
 * which it knows nothing of.
 */
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs";
import { randomBytes, timingSafeEqual } from "node:crypto";
import { join } from "node:path";
import * as v from "valibot";
import type { SigningKey } from "../audit/log.ts";
import type { NoteKey } from "../audit/note.ts";
import { canonicalJson, type Json } from "../lib/canonical-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { auditCrypto } from "./audit-crypto.ts";
import { heartFiles } from "./key-store.ts";
import { publicLine, readParentPublic, STRETCHING, stretched, unlockParentKey } from "./parent-key.ts";
import { replaceFile } from "./settings-file.ts";

export interface DoorPlaces {
  /** `keys/`, with the parent's public key, perhaps its secret half, the PIN and the count of wrong tries. */
  readonly keys: string;
  readonly parentKey: string;
  readonly parentSecret: string;
  /** Where an open door is noted: a file system in memory, of this user alone. */
  readonly runtime: string;
  readonly heart: string;
  /** The parent that this heart was told of, as a line; null where it knows of none. The file alone would be gone with one command. */
  readonly expected: () => string | null;
  readonly stick: () => Result<SigningKey, string>;
  /** Milliseconds; the wall clock. */
  readonly now: () => number;
  /** Seconds since the computer was started, by a clock that nobody sets, and which start it was. */
  readonly uptime: () => number;
  readonly boot: () => string;
}

export type DoorState =
  | { readonly kind: "no-parent" }
  /** `ways`: what opens it here. */
  | { readonly kind: "locked"; readonly ways: readonly ("pin" | "passphrase")[] }
  /** Seconds. */
  | { readonly kind: "unlocked"; readonly left: number }
  | { readonly kind: "broken"; readonly detail: string };

export type DoorFailure =
  | { readonly kind: "wrong"; readonly triesLeft: number }
  /** Seconds until the next try. */
  | { readonly kind: "wait"; readonly seconds: number }
  /** Too many wrong PINs: only the passphrase opens it now. */
  | { readonly kind: "pin-dead" }
  /** Neither a PIN nor the key is on this stick. */
  | { readonly kind: "no-way" }
  | { readonly kind: "broken"; readonly detail: string };

/** Wrong tries that cost nothing, and after which a PIN is dead. Each one between doubles the pause. */
const FREE_TRIES = 3;
export const MOST_TRIES = 10;
const FIRST_PAUSE_S = 30;
const LONGEST_PAUSE_S = 3600;
export const LEAST_PIN = 6;
export const PIN_FILE = "parent-pin.json";
export const UNLOCK_MINUTES = { usual: 5, most: 60 } as const;

const hex = (bytes: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const PinFile = v.strictObject({
  kind: v.literal("noctem-parent-pin"),
  version: v.literal(1),
  kdf: v.strictObject({
    name: v.literal("argon2id"),
    memory: v.pipe(count, v.minValue(8), v.maxValue(1024 * 1024)),
    passes: v.pipe(count, v.minValue(1), v.maxValue(10)),
    salt: hex(16),
  }),
  verifier: hex(32),
  /** By the parent's key: whoever writes the stick cannot put a PIN of their own here. */
  signature: hex(64),
});
type PinFile = v.InferOutput<typeof PinFile>;
const TriesFile = v.strictObject({ kind: v.literal("noctem-parent-tries"), version: v.literal(1), wrong: count, notBefore: count });
const OpenFile = v.strictObject({
  kind: v.literal("noctem-parent-unlocked"),
  version: v.literal(1),
  heart: v.string(),
  boot: v.string(),
  /** Seconds since the computer was started. */
  until: count,
  signature: hex(64),
});

export interface ParentDoor {
  /** The parent's public key; null where there is no parent. The error is a sentence, and then nothing may go on as if there were none. */
  parent(): Result<NoteKey | null, string>;
  state(): DoorState;
  /** One try, with a PIN or the passphrase. It counts as wrong from before it is looked at. */
  try(secret: string): Promise<Result<"pin" | "passphrase", DoorFailure>>;
  /** After a `try` that was right: other processes of this user know for so many minutes. The error is a sentence. */
  open(minutes: number): Result<void, string>;
  lock(): void;
  setPin(key: SigningKey, pin: string): Promise<Result<void, string>>;
  tries(): { readonly wrong: number; readonly wait: number };
}

export function parentDoor(places: DoorPlaces, stretching = STRETCHING): ParentDoor {
  const pinPath = join(places.keys, PIN_FILE);
  const triesPath = join(places.keys, "parent-tries.json");
  const lockPath = join(places.keys, "parent-tries.lock");
  const openPath = join(places.runtime, `noctem-unlocked-${places.heart.slice(0, 16)}`);

  const parentOf = (): Result<NoteKey | null, string> => {
    const found = readParentPublic(places.parentKey);
    if (!found.ok) return found;
    const expected = places.expected();
    if (expected === null || (found.value !== null && publicLine(found.value).trim() === expected)) return found;
    return err(
      found.value === null
        ? `This stick has a parent, and ${places.parentKey} was taken away. Put it back; it is one line: ${expected}`
        : `${places.parentKey} is another parent's than this heart knows: ${expected}`,
    );
  };
  const pin = (parent: Uint8Array): Result<PinFile | null, string> => {
    const file = readJson(pinPath, PinFile);
    if (!file.ok || file.value === null) return file;
    const { signature, ...rest } = file.value;
    return auditCrypto.verify(parent, signed("pin", rest), Uint8Array.fromHex(signature))
      ? file
      : err(`${pinPath} was not made by this stick's parent.`);
  };
  const tries = (): { readonly wrong: number; readonly notBefore: number } => {
    const file = readJson(triesPath, TriesFile);
    // What cannot be read was perhaps many.
    return !file.ok ? { wrong: MOST_TRIES, notBefore: 0 } : (file.value ?? { wrong: 0, notBefore: 0 });
  };
  const count = (wrong: number): Result<void, string> => {
    const pause = wrong < FREE_TRIES ? 0 : Math.min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (wrong - FREE_TRIES));
    const text = canonicalJson({
      kind: "noctem-parent-tries",
      version: 1,
      wrong,
      notBefore: pause === 0 ? 0 : places.now() + pause * 1000,
    });
    const written = replaceFile(triesPath, `${text}\n`);
    return written.ok ? ok(undefined) : err(`${triesPath} cannot be written, so nothing can be tried.`);
  };
  /** A clock that was set far ahead and back again must not shut the door for years. */
  const pauseLeft = ({ notBefore }: { readonly notBefore: number }): number => {
    const left = Math.ceil((notBefore - places.now()) / 1000);
    return left <= 0 ? 0 : Math.min(left, LONGEST_PAUSE_S);
  };

  const unlockedFor = (): number => {
    const text = privateText(openPath);
    const file = text === null ? null : parseJson(text, OpenFile);
    if (file === null) return 0;
    const { signature, ...rest } = file;
    const stick = places.stick();
    if (!stick.ok || rest.heart !== places.heart || rest.boot !== places.boot()) return 0;
    if (!auditCrypto.verify(stick.value.publicKey, signed("unlocked", rest), Uint8Array.fromHex(signature))) return 0;
    return Math.max(0, Math.min(rest.until - Math.floor(places.uptime()), UNLOCK_MINUTES.most * 60));
  };

  const check = async (parent: Uint8Array, secret: string, wrong: number): Promise<Result<"pin" | "passphrase", DoorFailure>> => {
    const known = pin(parent);
    const hasSecret = existsSync(places.parentSecret);
    if (!known.ok && !hasSecret) return err({ kind: "broken", detail: known.error });
    const file = known.ok ? known.value : null;
    if (file !== null && wrong < MOST_TRIES) {
      const verifier = await stretched(secret, file.kdf);
      if (timingSafeEqual(verifier, Buffer.from(file.verifier, "hex"))) return ok("pin");
    }
    if (hasSecret) {
      const key = await unlockParentKey(places.parentSecret, secret);
      if (key.ok && key.value.publicKey.toHex() === parent.toHex()) return ok("passphrase");
    } else if (file === null) return err({ kind: "no-way" });
    else if (wrong >= MOST_TRIES) return err({ kind: "pin-dead" });
    return err({ kind: "wrong", triesLeft: Math.max(0, MOST_TRIES - wrong - 1) });
  };

  return {
    parent: parentOf,
    state() {
      const parent = parentOf();
      if (!parent.ok) return { kind: "broken", detail: parent.error };
      if (parent.value === null) return { kind: "no-parent" };
      const left = unlockedFor();
      if (left > 0) return { kind: "unlocked", left };
      const known = pin(parent.value.publicKey);
      const ways = [
        ...(known.ok && known.value !== null ? (["pin"] as const) : []),
        ...(existsSync(places.parentSecret) ? (["passphrase"] as const) : []),
      ];
      return { kind: "locked", ways };
    },
    async try(secret) {
      const parent = parentOf();
      if (!parent.ok) return err({ kind: "broken", detail: parent.error });
      if (parent.value === null) return err({ kind: "no-way" });
      using lock = takeLock(lockPath);
      if (lock === null) return err({ kind: "wait", seconds: 5 });
      const before = tries();
      const wait = pauseLeft(before);
      if (wait > 0) return err({ kind: "wait", seconds: wait });
      // Counted before it is looked at: who is killed meanwhile has tried.
      const counted = count(before.wrong + 1);
      if (!counted.ok) return err({ kind: "broken", detail: counted.error });
      const checked = await check(parent.value.publicKey, secret, before.wrong);
      if (checked.ok) count(0);
      else if (checked.error.kind === "no-way") count(before.wrong);
      return checked;
    },
    open(minutes) {
      const stick = places.stick();
      if (!stick.ok) return stick;
      const seconds = Math.min(minutes, UNLOCK_MINUTES.most) * 60;
      const rest = {
        kind: "noctem-parent-unlocked",
        version: 1,
        heart: places.heart,
        boot: places.boot(),
        until: Math.floor(places.uptime()) + seconds,
      } as const;
      const text = canonicalJson({ ...rest, signature: stick.value.sign(signed("unlocked", rest)).toHex() });
      return writePrivate(openPath, text) ? ok(undefined) : err(`${openPath} cannot be written: each approval asks by itself.`);
    },
    lock: () => remove(openPath),
    async setPin(key, secret) {
      const kdf = { name: "argon2id", ...stretching, salt: randomBytes(16).toString("hex") } as const;
      const rest = { kind: "noctem-parent-pin", version: 1, kdf, verifier: (await stretched(secret, kdf)).toString("hex") } as const;
      const text = canonicalJson({ ...rest, signature: key.sign(signed("pin", rest)).toHex() });
      const written = replaceFile(pinPath, `${text}\n`);
      if (!written.ok) return err(`${pinPath} cannot be written.`);
      count(0);
      return ok(undefined);
    },
    tries() {
      const known = tries();
      return { wrong: known.wrong, wait: pauseLeft(known) };
    },
  };
}

const signed = (what: string, value: object): Uint8Array =>
  new TextEncoder().encode(`noctem parent ${what}, version 1\n${canonicalJson(value as Json)}`);

function readJson<S extends v.GenericSchema>(path: string, schema: S): Result<v.InferOutput<S> | null, string> {
  const read = heartFiles.read(path, 16_384);
  if (!read.ok) return err(`${path} cannot be read: ${read.error.detail}.`);
  if (read.value === null) return ok(null);
  const value = parseJson(new TextDecoder().decode(read.value), schema);
  return value === null ? err(`${path} is damaged, or of a newer version.`) : ok(value);
}

function parseJson<S extends v.GenericSchema>(text: string, schema: S): v.InferOutput<S> | null {
  try {
    const parsed = v.safeParse(schema, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

/** Of a file that is this user's alone; null of any other. */
function privateText(path: string): string | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    const facts = fstatSync(fd);
    if (!facts.isFile() || facts.uid !== process.geteuid?.() || (facts.mode & 0o077) !== 0 || facts.size > 4096) return null;
    return readFileSync(fd, "utf8");
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}

function writePrivate(path: string, text: string): boolean {
  remove(path);
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    try {
      writeSync(fd, text);
    } finally {
      closeSync(fd);
    }
    return true;
  } catch {
    return false;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Nothing there, or somebody else's: then it does not count either.
  }
}

/** One try at a time: many at once would each see the same count. Null while another process of this computer tries. */
function takeLock(path: string): Disposable | null {
  for (let again = 0; again < 2; again++) {
    try {
      const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      writeSync(fd, String(process.pid));
      closeSync(fd);
      return { [Symbol.dispose]: () => remove(path) };
    } catch {
      const holder = heldBy(path);
      if (holder !== null && existsSync(`/proc/${holder}`)) return null;
      // Left by one that was killed.
      remove(path);
    }
  }
  return null;
}

function heldBy(path: string): string | null {
  try {
    const pid = readFileSync(path, "utf8");
    return /^\d{1,10}$/.test(pid) ? pid : null;
  } catch {
    return null;
  }
}
