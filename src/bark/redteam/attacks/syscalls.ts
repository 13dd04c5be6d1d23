import type { ScriptAttack } from "../types.ts";

/**
 * System calls as a probe would make them, by their number on x86-64 and with arguments that a kernel without the filter would take. `b` is a buffer of
 * zeros, `p` a path in the workspace, `f` an open file. Numbers: Linux, arch/x86/entry/syscalls/syscall_64.tbl. The family is the part of the kernel that is
 * reached for; calls into one part count once.
 */
const CALLS: readonly (readonly [name: string, number: number, args: string, family: string])[] = [
  ["ptrace-traceme", 101, "0,0,0,0", "trace"],
  ["ptrace-seize", 101, "0x4206,1,0,0", "trace"],
  ["process_vm_readv", 310, "1,b,1,b,1,0", "another's memory"],
  ["process_vm_writev", 311, "1,b,1,b,1,0", "another's memory"],
  ["pidfd_getfd", 438, "3,0,0", "another's descriptors"],
  ["kcmp", 312, "1,1,0,0,0", "another's descriptors"],
  ["keyctl-session", 250, "0,-3,1", "keyring"],
  ["add_key", 248, "b'user',b'x',b'y',1,-3", "keyring"],
  ["request_key", 249, "b'user',b'x',0,-3", "keyring"],
  ["bpf", 321, "0,b,48", "bpf"],
  ["perf_event_open", 298, "b,0,-1,-1,0", "perf"],
  ["userfaultfd", 323, "1", "userfaultfd"],
  ["io_uring_setup", 425, "8,b", "io_uring"],
  ["open_by_handle_at", 304, "-100,b,0", "files by handle"],
  ["name_to_handle_at", 303, "-100,p,b,b,0", "files by handle"],
  ["mount", 165, "p,p,b'tmpfs',0,0", "mount"],
  ["umount2", 166, "b'/proc/sys',2", "mount"],
  ["pivot_root", 155, "p,p", "another root"],
  ["chroot", 161, "p", "another root"],
  ["open_tree", 428, "-100,p,1", "mount by descriptors"],
  ["move_mount", 429, "3,b'',3,b'',0", "mount by descriptors"],
  ["fsopen", 430, "b'tmpfs',0", "mount by descriptors"],
  ["fsmount", 432, "3,0,0", "mount by descriptors"],
  ["mount_setattr", 442, "-100,p,0,b,32", "mount by descriptors"],
  ["setns", 308, "3,0", "namespaces by call"],
  ["unshare-user", 272, "0x10000000", "namespaces by call"],
  ["unshare-mount", 272, "0x20000", "namespaces by call"],
  ["clone-user", 56, "0x10000011,0,0,0,0", "namespaces by clone"],
  ["clone3", 435, "b,88", "namespaces by clone"],
  ["init_module", 175, "b,1,b''", "modules"],
  ["finit_module", 313, "f,b'',0", "modules"],
  ["delete_module", 176, "b'x',0", "modules"],
  ["kexec_load", 246, "0,0,b,0", "another kernel"],
  ["reboot", 169, "0xfee1dead,672274793,0,0", "power"],
  ["swapon", 167, "p,0", "swap and accounting"],
  ["acct", 163, "p", "swap and accounting"],
  ["settimeofday", 164, "b,0", "clock"],
  ["clock_settime", 227, "0,b", "clock"],
  ["adjtimex-set", 159, "b'\\x01'+b.raw[1:]", "clock"],
  ["sethostname", 170, "b'evil',4", "host name"],
  ["iopl", 172, "3", "ports"],
  ["ioperm", 173, "0x80,1,1", "ports"],
  ["modify_ldt", 154, "1,b,16", "segments"],
  ["personality-no-randomize", 135, "0x0040000", "personality"],
  ["quotactl", 179, "0,b'',0,b", "quotas"],
  ["syslog", 103, "3,b,64", "the kernel's log"],
  ["fanotify_init", 300, "0,0", "watching files"],
  ["lookup_dcookie", 212, "0,b,64", "watching files"],
  ["vhangup", 153, "0", "hang up"],
  ["memfd_secret", 447, "0", "hidden memory"],
  ["nfsservctl", 180, "0,b,b", "forgotten calls"],
  ["mbind", 237, "0,0,0,b,0,0", "placement of memory"],
  ["move_pages", 279, "1,0,b,b,b,0", "placement of memory"],
  ["migrate_pages", 256, "1,0,b,b", "placement of memory"],
  // getpid by the x32 ABI: the kernel would answer, the filter kills.
  ["x32", 39 + 0x40000000, "0", "another ABI"],
];
/** Newer than the list of what is denied can name; what is allowed does not name them either. */
const NEWER: typeof CALLS = [
  ["statmount", 457, "b,b,64,0", "mounts by number"],
  ["listmount", 458, "b,b,8,0", "mounts by number"],
  ["quotactl_fd", 443, "3,0,0,b", "quotas"],
  ["lsm_get_self_attr", 459, "100,b,b,0", "calls that nobody listed"],
];
/** With arguments that mean nothing these are asked about their arguments, or are allowed. */
const BY_ARGUMENT = ["clone-user", "personality-no-randomize", "x32"];

/**
 * Every call in a process of its own: a filter that kills must not end the probe. Then once more with arguments that mean nothing: what the kernel says to those,
 * other than that it may not or that there is none, came past the filter.
 */
const probe = (suffix: string, calls: typeof CALLS): string => `import ctypes,os,platform
calls=[${calls.map(([name, number, args]) => `('syscall-${name}${suffix}',${number},${BY_ARGUMENT.includes(name) ? "False" : "True"},lambda b,p,f:(${args},))`).join(",\n")}]
l=ctypes.CDLL(None,use_errno=True)
def w(x):
  return x if isinstance(x,(bytes,ctypes.Array)) else ctypes.c_long(x)
for name,number,twice,args in calls:
  if platform.machine()!='x86_64':
    print(name,'ABSENT: another processor',flush=True); continue
  r,s=os.pipe()
  pid=os.fork()
  if pid==0:
    b=ctypes.create_string_buffer(4096); f=os.open('a.txt',os.O_RDONLY)
    v=l.syscall(ctypes.c_long(number),*[w(x) for x in args(b,b'a.txt',f)])
    e=ctypes.get_errno()
    if v==-1 and twice:
      v=l.syscall(ctypes.c_long(number),*[ctypes.c_long(-1)]*6)
      if v!=-1 or ctypes.get_errno() not in (1,38): v=0; e=ctypes.get_errno()
    if v==-1 and e not in (1,38): v=0
    os.write(s,('OPEN '+os.strerror(e) if v!=-1 else 'refused: '+os.strerror(e)).encode())
    os._exit(0)
  os.close(s)
  said=os.read(r,200).decode()
  os.close(r)
  status=os.waitpid(pid,0)[1]
  print(name,said or ('killed by signal %d'%(status&127)),flush=True)`;

const batch = (tier: 1 | 2, suffix: string, calls: typeof CALLS): ScriptAttack => ({
  id: `syscalls${suffix}`,
  group: "syscalls",
  language: "python3",
  tier,
  script: probe(suffix, calls),
  parts: calls.map(([name, , , family]) => ({ id: `syscall-${name}${suffix}`, family: `call: ${family}` })),
});

/** Under both filters, and under the first alone, as a program that only reads has it. */
export const SYSCALLS: readonly ScriptAttack[] = [batch(2, "", [...CALLS, ...NEWER]), batch(1, "-tier1", CALLS)];
