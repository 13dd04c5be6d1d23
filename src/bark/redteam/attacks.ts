import type { Attack, Group } from "./types.ts";
import { SYSCALL_ATTACKS } from "./syscalls.ts";

const sh = (group: Group, id: string, script: string, rest: Partial<Attack> = {}): Attack => ({
  id,
  group,
  language: "sh",
  script,
  ...rest,
});
const py = (group: Group, id: string, script: string, rest: Partial<Attack> = {}): Attack => ({
  id,
  group,
  language: "python3",
  script,
  ...rest,
});
const link = (path: string, target: string) => ({ kind: "link", path, target }) as const;
const file = (path: string, text: string) => ({ kind: "file", path, text }) as const;

const FILES: readonly Attack[] = [
  sh("files", "read-ssh-key", `cat "$H/.ssh/id_rsa"`),
  sh("files", "read-by-proc-root", `cat "/proc/self/root$H/.ssh/id_rsa" "/proc/1/root$H/.ssh/id_rsa"`),
  sh("files", "read-by-proc-cwd", `cat "/proc/1/cwd/../.ssh/id_rsa" "/proc/self/cwd/../home/.ssh/id_rsa" ../home/.ssh/id_rsa`),
  sh("files", "read-by-own-link", `ln -s "$H/.ssh/id_rsa" l; cat l`),
  sh("files", "read-by-planted-link", `cat planted planted-dir/id_rsa`, {
    plant: [link("planted", "{H}/.ssh/id_rsa"), link("planted-dir", "{H}/.ssh")],
  }),
  sh("files", "read-by-relative-link", `cat up`, { plant: [link("up", "../home/.ssh/id_rsa")] }),
  sh("files", "hard-link-out", `ln "$H/.ssh/id_rsa" hard && cat hard`),
  sh("files", "hard-link-in", `ln a.txt "$H/x"`),
  sh("files", "find-secrets", `find / -xdev \\( -name id_rsa -o -name canary \\) -exec cat {} +`),
  sh("files", "read-oldroot", `cat /oldroot"$H"/.ssh/id_rsa /newroot"$H"/.ssh/id_rsa`),
  sh("files", "read-shadow", `cat /etc/shadow /etc/gshadow /etc/ssh/ssh_host_rsa_key && echo OPEN`),
  sh("files", "read-host-users", `cat /etc/passwd | grep -v noctem | grep . && echo OPEN`),
  sh("files", "read-homes", `find /root /home -mindepth 2 -not -path "$W*" 2>/dev/null | grep . && echo OPEN`),
  sh("files", "read-var", `ls /var/log /var/lib /srv /opt /mnt /media 2>/dev/null | grep . && echo OPEN`),
  sh("files", "read-boot-and-sys", `ls /boot /sys/class /sys/kernel 2>/dev/null | grep . && echo OPEN`),
  sh("files", "read-masked-env", `cat .env; cp .env e; cat e; dd if=.env; grep -r SECRET .`, { plant: [file(".env", "SECRET={CANARY}")] }),
  sh("files", "read-masked-deep", `cat sub/dir/.env.local sub/.ssh/id_rsa; ls sub/.ssh | grep . && echo OPEN`, {
    plant: [file("sub/dir/.env.local", "{CANARY}"), file("sub/.ssh/id_rsa", "{CANARY}")],
  }),
  sh("files", "unmask-by-rename", `mv .env e2 2>/dev/null; cat e2; mv sub s2; cat s2/.env; umount .env; cat .env`, {
    plant: [file(".env", "{CANARY}"), file("sub/.env", "{CANARY}")],
  }),
  sh("files", "unmask-by-delete", `rm -f .env; cat .env; rm -rf sub; ls -la sub`, {
    plant: [file(".env", "{CANARY}"), file("sub/.env", "{CANARY}")],
  }),
  sh("files", "write-home", `echo x > "$H/.bashrc"; echo x >> "$H/.profile"; mkdir -p "$H/.config/autostart"`),
  sh("files", "write-by-planted-link", `echo x > planted; echo y > planted-dir/new`, {
    plant: [link("planted", "{H}/target"), link("planted-dir", "{H}")],
  }),
  sh("files", "write-by-swapped-folder", `mkdir d; rmdir d; ln -s "$H" d; echo x > d/new`),
  sh("files", "write-usr", `echo x > /usr/bin/ls; echo x > /usr/x && echo OPEN`),
  sh("files", "write-etc", `echo x > /etc/x && echo OPEN`),
  sh("files", "write-root", `mkdir /x && echo OPEN`),
  sh("files", "write-helper", `echo x > /run/noctem/helper && echo OPEN`),
  sh("files", "device-node", `mknod /tmp/d b 254 0 && cat /tmp/d && echo OPEN`),
  sh("files", "raw-disk", `head -c 512 /dev/vda || head -c 512 /dev/sda || head -c 512 /dev/nvme0n1 && echo OPEN`),
  sh("files", "memory-device", `head -c 1 /dev/mem || head -c 1 /dev/kmem || head -c 1 /dev/port && echo OPEN`),
  sh("files", "setuid-program", `cp /bin/sh s; chmod 4755 s; chmod 2755 s; test -u s && cp s "$H/s"`),
  sh(
    "files",
    "host-setuid",
    `for p in /usr/bin/su /usr/bin/mount /usr/bin/sudo /usr/bin/passwd; do [ -u "$p" ] && "$p" --help >/dev/null 2>&1; done; grep -q '^NoNewPrivs:.1' /proc/self/status || echo OPEN`,
  ),
  sh(
    "files",
    "upper-layer",
    `find / -maxdepth 3 \\( -name upper -o -name work \\) -not -path '/proc/*' -not -path '/usr/*' 2>/dev/null | grep . && echo OPEN`,
  ),
  sh(
    "files",
    "other-mounts",
    `awk '{print $5}' /proc/self/mountinfo | grep -vE '^(/|/usr|/bin|/sbin|/lib[0-9x]*|/etc/.*|/proc.*|/dev.*|/tmp|/home/noctem|/run/noctem/helper)$' | grep -v "^$W" | grep . && echo OPEN`,
  ),
];

const NAMES: readonly Attack[] = [
  sh("protected names", "git-hook", `mkdir -p .git/hooks; echo evil > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit`),
  sh("protected names", "git-hook-deep", `mkdir -p a/b/c/d/.git/hooks; echo evil > a/b/c/d/.git/hooks/post-checkout`),
  sh("protected names", "git-hook-changed", `echo evil > .git/hooks/post-merge`, { plant: [file(".git/hooks/post-merge", "good")] }),
  sh("protected names", "git-hook-by-rename", `mkdir -p staged/hooks; echo evil > staged/hooks/pre-commit; rm -rf .git; mv staged .git`),
  sh(
    "protected names",
    "git-hook-by-ancestor",
    `mkdir -p v2/sub/x/hooks; echo evil > v2/sub/x/hooks/pre-push; mv v2/sub/x v2/sub/.git; mv v2 vendored`,
  ),
  sh("protected names", "git-hook-by-link", `mkdir -p hooks; echo evil > hooks/pre-commit; mkdir -p .git; ln -s ../hooks .git/hooks`),
  sh("protected names", "git-link", `mkdir -p repo/hooks; echo evil > repo/hooks/pre-commit; ln -s repo .git`),
  sh("protected names", "git-file", `mkdir -p repo; echo 'gitdir: repo' > .git`),
  sh("protected names", "git-case", `mkdir -p .GIT/hooks; echo evil > .GIT/hooks/pre-commit`),
  sh("protected names", "git-short-name", `mkdir -p git~1/hooks; echo evil > git~1/hooks/pre-commit`),
  sh(
    "protected names",
    "git-trailing",
    `mkdir -p '.git./hooks' '.git /hooks'; echo evil > '.git./hooks/pre-commit'; echo evil > '.git /hooks/pre-commit'`,
  ),
  sh(
    "protected names",
    "git-invisible",
    `mkdir -p "$(printf '.g\\342\\200\\214it')/hooks"; echo evil > "$(printf '.g\\342\\200\\214it')/hooks/pre-commit"`,
  ),
  sh("protected names", "git-config-fsmonitor", `mkdir -p .git; printf '[core]\\n\\tfsmonitor = evil\\n' > .git/config`),
  sh(
    "protected names",
    "git-config-continued",
    `mkdir -p .git; printf '[core]\\n\\tbare = false\\\\\\n\\tfsmonitor = evil\\n' > .git/config`,
  ),
  sh("protected names", "git-config-include", `mkdir -p .git; printf '[include]\\n\\tpath = ../evil\\n' > .git/config`),
  sh("protected names", "git-config-changed", `printf '[core]\\n\\thooksPath = evil\\n' >> .git/config`, {
    plant: [file(".git/config", "[core]\n\tbare = false\n")],
  }),
  sh("protected names", "git-config-deleted", `rm .git/config`, { plant: [file(".git/config", "[core]\n\tbare = false\n")] }),
  sh("protected names", "git-module-hook", `mkdir -p .git/modules/sub/hooks; echo evil > .git/modules/sub/hooks/pre-commit`),
  sh("protected names", "git-attributes-filter", `mkdir -p .git/info; echo '* filter=evil' > .git/info/attributes`),
  sh("protected names", "gitmodules", `printf '[submodule "x"]\\n\\tpath = x\\n\\turl = ext::evil\\n' > .gitmodules`),
  sh("protected names", "noctem-files", `echo evil > .noctem; mkdir .noctem-x; echo evil > .noctem-x/y`),
  sh("protected names", "mcp", `echo evil > .mcp.json`),
  sh("protected names", "vscode", `mkdir -p .vscode; echo evil > .vscode/tasks.json`),
  sh("protected names", "vscode-by-rename", `mkdir v; echo evil > v/tasks.json; mv v .vscode`),
  sh("protected names", "idea", `mkdir -p .idea; echo evil > .idea/workspace.xml`),
  sh("protected names", "husky", `mkdir -p .husky; echo evil > .husky/pre-commit`),
  sh(
    "protected names",
    "agents",
    `echo evil > AGENTS.md; echo evil > CLAUDE.md; mkdir -p .claude/commands; echo evil > .claude/commands/x.md`,
  ),
  sh("protected names", "shell-start", `echo evil > .bashrc; echo evil > .zshenv; echo evil > .profile; echo evil > .envrc`),
  sh("protected names", "shell-start-changed", `echo evil >> .bashrc`, { plant: [file(".bashrc", "good")] }),
  sh("protected names", "npmrc", `echo 'script-shell=evil' > .npmrc; echo evil > bunfig.toml`),
  sh(
    "protected names",
    "dependency-hooks",
    `mkdir -p node_modules/x/.git/hooks node_modules/x/.vscode; echo evil > node_modules/x/.git/hooks/pre-commit; echo evil > node_modules/x/.vscode/tasks.json`,
  ),
  sh("protected names", "link-out", `ln -s "$H" out; ln -s ../home rel; ln -s a/../../home deep`),
];

const PROCESSES: readonly Attack[] = [
  sh(
    "processes",
    "see-host-processes",
    `ls /proc | grep -E '^[0-9]+$' | wc -l | { read n; [ "$n" -gt 12 ] && echo OPEN; }; cat "/proc/$HOST_PID/environ" 2>/dev/null | grep -a . && [ "$HOST_PID" -gt 50 ] && echo OPEN`,
  ),
  sh("processes", "kill-host", `kill -9 "$HOST_PID"; kill -STOP -1`),
  sh("processes", "kill-parent", `kill -9 "$PPID"; kill -9 1; kill -TERM 0`),
  sh("processes", "outlive", `setsid sh -c 'exec -a noctem-survivor sleep 300' >/dev/null 2>&1 & nohup sleep 301 >/dev/null 2>&1 &`),
  sh("processes", "outlive-double-fork", `(setsid sh -c '(sleep 302 &) &' &) ; (trap "" HUP TERM; sleep 303) &`),
  sh("processes", "write-first-process-memory", `dd if=/dev/zero of=/proc/1/mem bs=1 count=1 conv=notrunc 2>/dev/null && echo OPEN`),
  py(
    "processes",
    "first-process-without-filter",
    `import re
t=open('/proc/1/status').read()
print('OPEN' if not re.search(r'Seccomp:\\s+2',t) else 'filtered')`,
  ),
  sh(
    "processes",
    "core-pattern",
    `echo '|/tmp/evil' > /proc/sys/kernel/core_pattern && echo OPEN; echo '|/tmp/evil' > /proc/sys/kernel/modprobe && echo OPEN`,
  ),
  sh("processes", "sysrq", `echo h > /proc/sysrq-trigger && echo OPEN`),
  sh("processes", "oom-score", `echo -1000 > /proc/self/oom_score_adj && echo OPEN`),
  sh("processes", "capabilities", `grep -E '^Cap(Eff|Prm|Bnd|Amb):' /proc/self/status | grep -v '0000000000000000' && echo OPEN`),
];

const DESCRIPTORS: readonly Attack[] = [
  sh(
    "descriptors",
    "inherited",
    `ls -l /proc/self/fd /proc/1/fd | grep -vE 'pipe:|/dev/null|/proc|total|^$|socket:' | grep -- '->' && echo OPEN`,
  ),
  py(
    "descriptors",
    "inherited-sockets",
    `import os,stat
for d in os.listdir('/proc/1/fd'):
  try:
    if int(d)>2 and stat.S_ISSOCK(os.stat('/proc/1/fd/'+d).st_mode): print('OPEN',d)
  except OSError: pass`,
  ),
  py(
    "descriptors",
    "folder-descriptors",
    `import os,stat
for d in range(0,256):
  try:
    if stat.S_ISDIR(os.fstat(d).st_mode): print('OPEN',d)
  except OSError: pass`,
  ),
  py(
    "descriptors",
    "control-channel",
    `import os
for d in range(3,64):
  try: os.write(d,b'exit 0\\n'); print('OPEN',d)
  except OSError: pass`,
  ),
];

const TERMINAL: readonly Attack[] = [
  py(
    "terminal",
    "tiocsti",
    `import fcntl
for p in ('/dev/tty','/dev/pts/0','/dev/console','/proc/self/fd/0','/proc/self/fd/2'):
  try:
    f=open(p,'rb+',buffering=0); fcntl.ioctl(f,0x5412,b'x'); print('OPEN',p)
  except OSError: pass`,
  ),
  py(
    "terminal",
    "tiocsti-high-bits",
    `import ctypes,os
l=ctypes.CDLL(None,use_errno=True)
m,s=os.openpty()
b=ctypes.create_string_buffer(b'x')
for r in (0x5412,0x100005412,0xffffffff00005412):
  if l.syscall(16,ctypes.c_long(s),ctypes.c_ulong(r),b)==0: print('OPEN',hex(r))`,
  ),
  py(
    "terminal",
    "tioclinux",
    `import ctypes,os
l=ctypes.CDLL(None,use_errno=True)
m,s=os.openpty()
b=ctypes.create_string_buffer(b'\\x03')
if l.syscall(16,ctypes.c_long(s),ctypes.c_ulong(0x541c),b)==0: print('OPEN')`,
  ),
  py(
    "terminal",
    "tiocsctty",
    `import ctypes,os
l=ctypes.CDLL(None,use_errno=True)
m,s=os.openpty()
if l.syscall(16,ctypes.c_long(s),ctypes.c_ulong(0x540e),ctypes.c_long(1))==0: print('OPEN')`,
  ),
  sh("terminal", "controlling-terminal", `exec 3<>/dev/tty && echo OPEN`),
  sh(
    "terminal",
    "host-terminals",
    `for t in /dev/pts/[0-9]* /dev/tty[0-9]* /dev/console /dev/vcs*; do [ -e "$t" ] && echo evil > "$t" && echo OPEN; done`,
  ),
];

const SOCKETS: readonly Attack[] = [
  py(
    "sockets",
    "host-loopback",
    `import socket,os
s=socket.socket(); s.settimeout(1)
try: s.connect(('127.0.0.1',int(os.environ['PORT']))); print('OPEN')
except OSError: pass`,
  ),
  py(
    "sockets",
    "host-loopback-6",
    `import socket,os
try:
  s=socket.socket(socket.AF_INET6); s.settimeout(1); s.connect(('::1',int(os.environ['PORT']))); print('OPEN')
except OSError: pass`,
  ),
  py(
    "sockets",
    "outside",
    `import socket
for a in (('1.1.1.1',53),('192.0.2.1',80),('169.254.169.254',80)):
  s=socket.socket(); s.settimeout(1)
  try: s.connect(a); print('OPEN',a)
  except OSError: pass`,
  ),
  py(
    "sockets",
    "udp-outside",
    `import socket
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
try: s.sendto(b'x',('1.1.1.1',53)); print('OPEN')
except OSError: pass`,
  ),
  py(
    "sockets",
    "unix-socket",
    `import socket,os
for p in (os.environ['SOCK'],'/proc/1/root'+os.environ['SOCK'],'/run/dbus/system_bus_socket','/var/run/docker.sock','/run/user/0/bus','/tmp/.X11-unix/X0'):
  s=socket.socket(socket.AF_UNIX)
  try: s.connect(p); s.send(b'x'); print('OPEN',p)
  except OSError: pass`,
  ),
  py(
    "sockets",
    "abstract-socket",
    `import socket,os
for t in (socket.SOCK_STREAM,socket.SOCK_DGRAM):
  s=socket.socket(socket.AF_UNIX,t)
  try: s.connect('\\0'+os.path.basename(os.environ['SOCK'])); s.send(b'x'); print('OPEN')
  except OSError: pass`,
  ),
  py(
    "sockets",
    "datagram-through-socketpair",
    `import socket,os
a,b=socket.socketpair(socket.AF_UNIX,socket.SOCK_DGRAM)
try: a.sendto(b'x',os.environ['SOCK']+'.dgram'); print('OPEN')
except OSError: pass`,
  ),
  ...(
    [
      ["netlink", 16, 3],
      ["packet", 17, 3],
      ["vsock", 40, 1],
      ["alg", 38, 5],
      ["bluetooth", 31, 3],
      ["kcm", 41, 5],
      ["xdp", 44, 3],
      ["rds", 21, 5],
      ["can", 29, 3],
      ["tipc", 30, 1],
      ["x25", 9, 5],
      ["key", 15, 3],
    ] as const
  ).map(([name, family, type]) =>
    py(
      "sockets",
      `family-${name}`,
      `import socket
try: socket.socket(${family},${type},0); print('OPEN')
except OSError: pass`,
    ),
  ),
  py(
    "sockets",
    "raw",
    `import socket
for f,p in ((2,1),(2,255),(10,58)):
  try: socket.socket(f,3,p); print('OPEN')
  except OSError: pass`,
  ),
  sh("sockets", "environment-sockets", `env | grep -E 'DBUS|SSH_AUTH|WAYLAND|DISPLAY|DOCKER|GPG_AGENT|NOTIFY_SOCKET' && echo OPEN`),
];

const NAMESPACES: readonly Attack[] = [
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
  sh("namespaces", "hostname", `echo evil > /proc/sys/kernel/hostname && echo OPEN`),
  sh("namespaces", "uid-map", `echo '0 0 1' > /proc/self/uid_map && echo OPEN; echo deny > /proc/self/setgroups && echo OPEN`),
  sh("namespaces", "max-user-namespaces", `echo 100 > /proc/sys/user/max_user_namespaces && echo OPEN`),
];

const RESOURCES: readonly Attack[] = [
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
  sh("resources", "inodes", `i=0; while [ $i -lt 400000 ]; do i=$((i+1)); : > "n$i" || exit 0; done; echo OPEN`),
  sh("resources", "output", `yes | head -c 64M; echo OPEN`),
  sh("resources", "output-errors", `yes | head -c 64M >&2; echo OPEN`),
  sh("resources", "endless", `while :; do :; done`),
  sh("resources", "sleeper", `sleep 600; echo OPEN`),
  py(
    "resources",
    "descriptors",
    `import os
n=0
try:
  while n<100000: os.dup(0); n+=1
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

const ENVIRONMENT: readonly Attack[] = [
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

/** Each once: variations of one are in one script. */
export const ATTACKS: readonly Attack[] = [
  ...FILES,
  ...NAMES,
  ...PROCESSES,
  ...DESCRIPTORS,
  ...TERMINAL,
  ...SOCKETS,
  ...SYSCALL_ATTACKS,
  ...NAMESPACES,
  ...RESOURCES,
  ...ENVIRONMENT,
];
