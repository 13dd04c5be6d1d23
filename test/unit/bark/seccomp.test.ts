import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { generate, LISTS, programPath, readList, type List } from "../../../scripts/seccomp/generate.ts";
import { ARCHES, loadLibseccomp, type Arch } from "../../../scripts/seccomp/libseccomp.ts";
import { ask, type Answer } from "../../support/bpf.ts";

const lib = loadLibseccomp();
const program = (name: List, arch: Arch = "x64"): Uint8Array => new Uint8Array(readFileSync(programPath(name, arch)));
const arches = Object.keys(ARCHES) as Arch[];

/** Numbers from the kernel's own tables (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h). */
const NR: Record<Arch, Readonly<Record<string, number>>> = {
  x64: {
    read: 0,
    open: 2,
    mmap: 9,
    ioctl: 16,
    socket: 41,
    clone: 56,
    execve: 59,
    ptrace: 101,
    personality: 135,
    mount: 165,
    keyctl: 250,
    unshare: 272,
    openat: 257,
    setns: 308,
    bpf: 321,
    userfaultfd: 323,
    clone3: 435,
    io_uring_setup: 425,
    process_vm_readv: 310,
    open_by_handle_at: 304,
    pidfd_getfd: 438,
    init_module: 175,
    fsopen: 430,
    perf_event_open: 298,
    statx: 332,
    futex: 202,
  },
  arm64: {
    read: 63,
    mmap: 222,
    ioctl: 29,
    socket: 198,
    clone: 220,
    execve: 221,
    ptrace: 117,
    personality: 92,
    mount: 40,
    keyctl: 219,
    unshare: 97,
    openat: 56,
    setns: 268,
    bpf: 280,
    userfaultfd: 282,
    clone3: 435,
    io_uring_setup: 425,
    process_vm_readv: 270,
    open_by_handle_at: 265,
    pidfd_getfd: 438,
    init_module: 105,
    fsopen: 430,
    perf_event_open: 241,
    statx: 291,
    futex: 98,
  },
};
const NEWUSER = 0x1000_0000;
const SIGCHLD = 17;

/** Both programs as the kernel stacks them in a restricted cage: the stricter answer counts. */
function restricted(arch: Arch, nr: number, args: readonly (number | bigint)[] = []): Answer {
  const answers = LISTS.map((name) => ask(program(name, arch), { nr, arch: ARCHES[arch], args }));
  return answers.find((a) => a === "kill") ?? answers.find((a) => a !== "allow") ?? "allow";
}

describe.each(arches)("the programs for %s", (arch) => {
  const nr = (name: string): number => NR[arch][name] ?? -1;
  const denied = (name: string, args: readonly (number | bigint)[] = []) =>
    ask(program("deny", arch), { nr: nr(name), arch: ARCHES[arch], args });

  test.each([
    "mount",
    "unshare",
    "setns",
    "ptrace",
    "keyctl",
    "bpf",
    "userfaultfd",
    "clone3",
    "io_uring_setup",
    "process_vm_readv",
    "open_by_handle_at",
    "pidfd_getfd",
    "init_module",
    "fsopen",
    "perf_event_open",
  ])("%s is refused in every cage", (name) => {
    expect(denied(name)).not.toBe("allow");
    expect(restricted(arch, nr(name))).not.toBe("allow");
  });

  test("ordinary calls pass both", () => {
    for (const name of ["read", "mmap", "openat", "execve", "statx", "futex"])
      expect([name, restricted(arch, nr(name))]).toEqual([name, "allow"]);
    expect(restricted(arch, nr("clone"), [SIGCHLD])).toBe("allow");
  });

  test("a call that nobody has heard of does not exist in a restricted cage", () => {
    for (const unheard of [600, 1000, 4095]) expect(restricted(arch, unheard)).toBe("ENOSYS");
  });

  test("namespaces are no flag of clone, alone or among others", () => {
    expect(denied("clone", [NEWUSER | SIGCHLD])).toBe("EPERM");
    for (const flag of [0x20000, 0x2000000, 0x4000000, 0x8000000, NEWUSER, 0x20000000, 0x40000000])
      expect([flag, restricted(arch, nr("clone"), [flag | SIGCHLD])]).not.toEqual([flag, "allow"]);
  });

  test("terminals: nothing is typed into one, whatever stands in the half of the argument that the kernel drops", () => {
    for (const request of [0x5412, 0x541c, 0x540e]) {
      expect(denied("ioctl", [0, request])).toBe("EPERM");
      expect(denied("ioctl", [0, 0xdead_beef_0000_0000n | BigInt(request)])).toBe("EPERM");
    }
    expect(denied("ioctl", [0, 0x5401])).toBe("allow");
  });

  test("sockets: local, IPv4 and IPv6 streams and datagrams; nothing else, nothing raw", () => {
    for (const family of [1, 2, 10])
      for (const type of [1, 2, 2 | 0o2000000]) expect(restricted(arch, nr("socket"), [family, type])).toBe("allow");
    for (const family of [16, 17, 38, 40]) {
      expect(denied("socket", [family, 2])).toBe("EPERM");
      expect(denied("socket", [0x1_0000_0000n | BigInt(family), 2])).toBe("EPERM");
    }
    for (const family of [0, 3, 9, 29, 31, 44]) expect(restricted(arch, nr("socket"), [family, 2])).not.toBe("allow");
    for (const type of [3, 3 | 0o4000]) expect(denied("socket", [2, type])).toBe("EPERM");
  });

  test("personality: only the present value", () => {
    for (const value of [0, 0xffffffff]) expect(denied("personality", [value])).toBe("allow");
    for (const value of [0x0040000, 8, 1, 0x80000000, 0xfffffffe]) expect(denied("personality", [value])).toBe("EPERM");
  });

  test("another architecture's calls kill", () => {
    for (const name of LISTS) {
      const other = arch === "x64" ? "arm64" : "x64";
      expect(ask(program(name, arch), { nr: NR[other]["read"] ?? 0, arch: ARCHES[other] })).toBe("kill");
      expect(ask(program(name, arch), { nr: 4, arch: 0x40000003 })).toBe("kill");
    }
  });
});

test("x32 numbers, which share x86_64's architecture, kill", () => {
  for (const name of LISTS) expect(ask(program(name), { nr: 0x4000_0000 | 1, arch: ARCHES.x64 })).toBe("kill");
});

test("no call stands twice without a condition, or in both lists without one", () => {
  const plain = LISTS.flatMap((name) =>
    readList(name)
      .rules.filter((rule) => rule.where.length === 0 && !rule.unless)
      .flatMap((rule) => rule.syscalls),
  );
  expect(plain.filter((name, i) => plain.indexOf(name) !== i)).toEqual([]);
});

test.skipIf(lib === null)("the committed programs are what their lists make (needs libseccomp)", () => {
  if (lib === null) throw new Error("skipped");
  for (const name of LISTS)
    for (const arch of arches) expect(Buffer.from(generate(lib, name, arch).program).equals(program(name, arch))).toBe(true);
});
