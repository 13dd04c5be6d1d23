/**
 * The few calls of libseccomp (2.5) that making a filter takes. It gets right what is easy to get wrong by hand: argument masks, the x32
 * numbers that share x86_64's architecture, and the order of comparisons.
 */
import { dlopen, ptr } from "bun:ffi";
import { closeSync, openSync, readFileSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const ARCHES = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
export type Arch = keyof typeof ARCHES;

export interface Condition {
  readonly argument: number;
  readonly mask: number;
  readonly is: number;
}

const Action = { allow: 0x7fff0000, kill: 0x80000000 } as const;
const ERRNO = { EPERM: 1, ENOSYS: 38 } as const;
export type ActionName = "allow" | keyof typeof ERRNO;
const actionOf = (name: ActionName): number => (name === "allow" ? Action.allow : 0x00050000 | ERRNO[name]);

/** `SCMP_CMP_MASKED_EQ`. */
const MASKED_EQ = 7;
/** `SCMP_FLTATR_ACT_BADARCH`. */
const BAD_ARCH = 2;
/** `SCMP_FLTATR_CTL_OPTIMIZE`. A tree of numbers instead of a list: the kernel asks a new filter about every call that there is, and each start of a cage waits for that. */
const OPTIMIZE = 8;
const BINARY_TREE = 2;
/** What `resolve_name` gives for a name that this libseccomp has never heard of. */
const UNKNOWN = -1;

/** Null where the library is not installed. */
export function loadLibseccomp() {
  try {
    const { symbols } = dlopen("libseccomp.so.2", {
      seccomp_init: { args: ["u32"], returns: "ptr" },
      seccomp_release: { args: ["ptr"], returns: "void" },
      seccomp_arch_native: { args: [], returns: "u32" },
      seccomp_arch_add: { args: ["ptr", "u32"], returns: "i32" },
      seccomp_arch_remove: { args: ["ptr", "u32"], returns: "i32" },
      seccomp_attr_set: { args: ["ptr", "i32", "u32"], returns: "i32" },
      seccomp_syscall_resolve_name: { args: ["cstring"], returns: "i32" },
      seccomp_rule_add_array: { args: ["ptr", "u32", "i32", "u32", "ptr"], returns: "i32" },
      seccomp_export_bpf: { args: ["ptr", "i32"], returns: "i32" },
    });
    return symbols;
  } catch {
    return null;
  }
}
export type Libseccomp = NonNullable<ReturnType<typeof loadLibseccomp>>;

/** A filter for one architecture. Another architecture's calls, x32 included, kill the process. */
export class Filter implements Disposable {
  readonly #lib: Libseccomp;
  readonly #context: NonNullable<ReturnType<Libseccomp["seccomp_init"]>>;

  constructor(lib: Libseccomp, otherwise: ActionName, arch: Arch) {
    this.#lib = lib;
    const context = lib.seccomp_init(actionOf(otherwise));
    if (context === null) throw new Error("libseccomp made no filter");
    this.#context = context;
    const native = lib.seccomp_arch_native();
    if (native !== ARCHES[arch]) {
      must(lib.seccomp_arch_add(context, ARCHES[arch]), "adding the architecture");
      must(lib.seccomp_arch_remove(context, native), "removing the host's architecture");
    }
    must(lib.seccomp_attr_set(context, BAD_ARCH, Action.kill), "setting what other architectures get");
    must(lib.seccomp_attr_set(context, OPTIMIZE, BINARY_TREE), "sorting the numbers");
  }

  /** A call that the architecture does not have is left out. One that libseccomp does not know by name is an error. */
  add(action: ActionName, syscall: string, where: readonly Condition[]): void {
    const number = this.#lib.seccomp_syscall_resolve_name(Buffer.from(`${syscall}\0`));
    if (number === UNKNOWN) throw new UnknownSyscall(`libseccomp does not know ${syscall}`);
    // struct scmp_arg_cmp { unsigned arg; enum op; uint64 a; uint64 b }
    const compare = new DataView(new ArrayBuffer(Math.max(24 * where.length, 24)));
    for (const [i, { argument, mask, is }] of where.entries()) {
      compare.setUint32(i * 24, argument, true);
      compare.setUint32(i * 24 + 4, MASKED_EQ, true);
      compare.setBigUint64(i * 24 + 8, BigInt(mask), true);
      compare.setBigUint64(i * 24 + 16, BigInt(is), true);
    }
    const code = this.#lib.seccomp_rule_add_array(this.#context, actionOf(action), number, where.length, ptr(compare.buffer));
    // -EDOM: not on this architecture.
    if (code !== 0 && code !== -33) throw new Error(`libseccomp refused ${syscall}: ${code}`);
  }

  /** The program, as the kernel takes it. */
  export(): Uint8Array {
    const path = join(tmpdir(), `noctem-seccomp-${process.pid}-${crypto.randomUUID()}`);
    const fd = openSync(path, "wx+");
    try {
      must(this.#lib.seccomp_export_bpf(this.#context, fd), "exporting");
      return new Uint8Array(readFileSync(path));
    } finally {
      closeSync(fd);
      unlinkSync(path);
    }
  }

  [Symbol.dispose](): void {
    this.#lib.seccomp_release(this.#context);
  }
}

export class UnknownSyscall extends Error {}

function must(code: number, what: string): void {
  if (code !== 0) throw new Error(`libseccomp: ${what} failed with ${code}`);
}
