import type { Attack } from "./types.ts";

/**
 * System calls as a probe would make them, by their number on x86-64 and with arguments that a kernel without the filter would take. `b` is a buffer of
 * zeros, `p` a path in the workspace, `f` an open file. Numbers: Linux, arch/x86/entry/syscalls/syscall_64.tbl.
 */
const CALLS: readonly (readonly [name: string, number: number, args: string])[] = [
  ["ptrace-traceme", 101, "0,0,0,0"],
  ["ptrace-seize", 101, "0x4206,1,0,0"],
  ["process_vm_readv", 310, "1,b,1,b,1,0"],
  ["process_vm_writev", 311, "1,b,1,b,1,0"],
  ["keyctl-session", 250, "0,-3,1"],
  ["add_key", 248, "b'user',b'x',b'y',1,-3"],
  ["request_key", 249, "b'user',b'x',0,-3"],
  ["bpf", 321, "0,b,48"],
  ["perf_event_open", 298, "b,0,-1,-1,0"],
  ["userfaultfd", 323, "1"],
  ["io_uring_setup", 425, "8,b"],
  ["open_by_handle_at", 304, "-100,b,0"],
  ["name_to_handle_at", 303, "-100,p,b,b,0"],
  ["pidfd_getfd", 438, "3,0,0"],
  ["kcmp", 312, "1,1,0,0,0"],
  ["mount", 165, "p,p,b'tmpfs',0,0"],
  ["umount2", 166, "b'/proc/sys',2"],
  ["pivot_root", 155, "p,p"],
  ["chroot", 161, "p"],
  ["open_tree", 428, "-100,p,1"],
  ["move_mount", 429, "3,b'',3,b'',0"],
  ["fsopen", 430, "b'tmpfs',0"],
  ["fsmount", 432, "3,0,0"],
  ["mount_setattr", 442, "-100,p,0,b,32"],
  ["setns", 308, "3,0"],
  ["unshare-user", 272, "0x10000000"],
  ["unshare-mount", 272, "0x20000"],
  ["clone-user", 56, "0x10000011,0,0,0,0"],
  ["clone3", 435, "b,88"],
  ["init_module", 175, "b,1,b''"],
  ["finit_module", 313, "f,b'',0"],
  ["delete_module", 176, "b'x',0"],
  ["kexec_load", 246, "0,0,b,0"],
  ["reboot", 169, "0xfee1dead,672274793,0,0"],
  ["swapon", 167, "p,0"],
  ["acct", 163, "p"],
  ["settimeofday", 164, "b,0"],
  ["clock_settime", 227, "0,b"],
  ["adjtimex-set", 159, "b'\\\\x01'+b.raw[1:]"],
  ["sethostname", 170, "b'evil',4"],
  ["iopl", 172, "3"],
  ["ioperm", 173, "0x80,1,1"],
  ["modify_ldt", 154, "1,b,16"],
  ["personality-no-randomize", 135, "0x0040000"],
  ["quotactl", 179, "0,b'',0,b"],
  ["syslog", 103, "3,b,64"],
  ["fanotify_init", 300, "0,0"],
  ["lookup_dcookie", 212, "0,b,64"],
  ["vhangup", 153, "0"],
  ["memfd_secret", 447, "0"],
  ["nfsservctl", 180, "0,b,b"],
  ["mbind", 237, "0,0,0,b,0,0"],
  ["move_pages", 279, "1,0,b,b,b,0"],
  ["migrate_pages", 256, "1,0,b,b"],
];

const probe = (number: number, args: string): string => `import ctypes,os,platform
if platform.machine()!='x86_64':
  print('ABSENT'); raise SystemExit
l=ctypes.CDLL(None,use_errno=True)
b=ctypes.create_string_buffer(4096); p=b'a.txt'; f=os.open('a.txt',os.O_RDONLY)
def w(x):
  return x if isinstance(x,(bytes,ctypes.Array)) else ctypes.c_long(x)
r=l.syscall(ctypes.c_long(${number}),*[w(x) for x in (${args},)])
e=ctypes.get_errno()
print('OPEN' if r!=-1 else 'refused',r,os.strerror(e))`;

export const SYSCALL_ATTACKS: readonly Attack[] = [
  ...CALLS.map(([name, number, args]): Attack => ({
    id: `syscall-${name}`,
    group: "syscalls",
    language: "python3",
    script: probe(number, args.replaceAll("\\\\x", "\\x")),
    mayBeAbsent: true,
  })),
  {
    id: "syscall-x32",
    group: "syscalls",
    language: "python3",
    // getpid by the x32 ABI: the kernel would answer, the filter kills.
    script: probe(39 + 0x40000000, "0"),
    mayBeAbsent: true,
  },
];
