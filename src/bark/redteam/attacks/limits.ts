import { file, py, type ScriptAttack, sh } from "../types.ts";

export const NAMESPACES: readonly ScriptAttack[] = [
  sh("namespaces", "unshare-user", `unshare -U true && echo OPEN`),
  sh("namespaces", "unshare-user-root", `unshare -Ur true && echo OPEN`),
  sh("namespaces", "unshare-mount", `unshare -m true && echo OPEN`),
  sh("namespaces", "unshare-net", `unshare -n true && echo OPEN`),
  sh("namespaces", "unshare-pid", `unshare -pf true && echo OPEN`),
  sh("namespaces", "mount-tmpfs", `mount -t tmpfs x /tmp && echo OPEN`),
  sh("namespaces", "remount-usr", `mount -o remount,rw,bind /usr && echo OPEN; mount -o remount,rw / && echo OPEN`),
  sh("namespaces", "umount-mask", `umount /proc/sys && echo OPEN; umount -l .env && echo OPEN`, { plant: [file(".env", "{CANARY}")] }),
  sh("namespaces", "bind-home", `mount --bind "$H" /tmp && echo OPEN`),
  sh("namespaces", "chroot", `chroot /tmp /bin/true && echo OPEN; chroot / true && echo OPEN`),
  sh("namespaces", "nsenter", `nsenter -t 1 -m -u -n true && echo OPEN; nsenter -t "$HOST_PID" -a true && echo OPEN`),
  py(
    "namespaces",
    "setns-own-files",
    `import ctypes,os
l=ctypes.CDLL(None,use_errno=True)
for n in ('mnt','user','net','pid','uts','ipc','cgroup'):
  f=os.open('/proc/1/ns/'+n,os.O_RDONLY)
  if l.setns(f,0)==0: print('OPEN',n)`,
  ),
  sh(
    "namespaces",
    "shared-with-the-host",
    `for n in ipc mnt net pid user uts; do case " $HOST_NAMESPACES " in *" $(readlink /proc/self/ns/$n) "*) echo "OPEN $n";; esac; done`,
  ),
  sh("namespaces", "hostname", `echo evil > /proc/sys/kernel/hostname && echo OPEN`),
  sh("namespaces", "uid-map", `echo '0 0 1' > /proc/self/uid_map && echo OPEN; echo deny > /proc/self/setgroups && echo OPEN`),
  sh("namespaces", "max-user-namespaces", `echo 100 > /proc/sys/user/max_user_namespaces && echo OPEN`),
];

export const RESOURCES: readonly ScriptAttack[] = [
  sh("resources", "fork-bomb", `f() { f | f & }; f; sleep 5; echo OPEN`),
  py(
    "resources",
    "memory",
    `x=[]
while True: x.append(bytearray(64<<20))`,
  ),
  py(
    "resources",
    "memory-shared",
    `import mmap
x=[]
while True:
  m=mmap.mmap(-1,64<<20); m[:]=b'x'*(64<<20); x.append(m)`,
  ),
  sh("resources", "disk", `for i in $(seq 200); do head -c 8M /dev/zero > "f$i" || exit 0; done; echo OPEN`),
  sh("resources", "disk-tmp", `for i in $(seq 200); do head -c 8M /dev/zero > "/tmp/f$i" || exit 0; done; echo OPEN`),
  sh("resources", "one-large-file", `head -c 40M /dev/zero > f; [ "$(stat -c %s f)" -gt 35000000 ] && echo OPEN`),
  sh("resources", "core-file", `[ "$(ulimit -Hc)" = 0 ] || echo OPEN; ulimit -c unlimited && echo OPEN`),
  sh("resources", "inodes", `i=0; while [ $i -lt 400000 ]; do i=$((i+1)); : > "n$i" || exit 0; done; echo OPEN`),
  sh("resources", "output", `yes | head -c 64M; : > OPEN`),
  sh("resources", "output-errors", `yes | head -c 64M >&2; : > OPEN`),
  sh("resources", "endless", `while :; do :; done`),
  sh("resources", "sleeper", `sleep 15; echo OPEN`),
  py(
    "resources",
    "descriptors",
    `import os
n=0
try:
  while n<4000: os.dup(0); n+=1
  print('OPEN')
except OSError: pass`,
  ),
  py(
    "resources",
    "priority",
    `import os
try: os.nice(-20); print('OPEN')
except OSError: pass`,
  ),
];

export const ENVIRONMENT: readonly ScriptAttack[] = [
  sh("environment", "name-of-host", `[ "$(cat /proc/sys/kernel/hostname)" = noctem ] || echo OPEN`),
  sh("environment", "canary-in-environment", `env; cat /proc/*/environ | tr '\\0' '\\n'`),
  sh("environment", "canary-in-command-lines", `cat /proc/*/cmdline | tr '\\0' ' '`),
  sh(
    "environment",
    "loader-variables",
    `env | grep -E '^(LD_|BASH_ENV|ENV=|GIT_|PAGER|NODE_OPTIONS|PYTHON|GLIBC_TUNABLES|PERL5|RUBY)' | grep -vE '^GIT_(CONFIG_(COUNT|KEY_[0-9]+|VALUE_[0-9]+)|TERMINAL_PROMPT)=' && echo OPEN`,
  ),
  sh("environment", "path-of-workspace", `case ":$PATH:" in *:.:*|*::*|*":$W"*) echo OPEN;; esac; ls`, {
    plant: [file("ls", "#!/bin/sh\necho OPEN\n")],
  }),
  sh("environment", "home-of-person", `[ "$HOME" = /home/noctem ] || echo OPEN; ls -A "$HOME" | grep . && echo OPEN`),
  sh(
    "environment",
    "kernel-keyring",
    `keyctl show 2>/dev/null | grep -q ses && echo OPEN; cat /proc/keys 2>/dev/null | grep . && echo OPEN`,
  ),
];
