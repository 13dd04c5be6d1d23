import { py, type ScriptAttack, sh } from "../types.ts";

export const PROCESSES: readonly ScriptAttack[] = [
  sh(
    "processes",
    "see-host-processes",
    `ls /proc | grep -E '^[0-9]+$' | wc -l | { read n; [ "$n" -gt 12 ] && echo OPEN; }; cat "/proc/$HOST_PID/environ" 2>/dev/null | grep -a . && [ "$HOST_PID" -gt 50 ] && echo OPEN`,
  ),
  sh("processes", "kill-host", `kill -9 "$HOST_PID"; kill -STOP -1`),
  sh("processes", "kill-parent", `kill -9 "$PPID"; kill -9 1; kill -TERM 0`),
  sh("processes", "outlive", `setsid sleep "$MARK" >/dev/null 2>&1 & nohup sleep "$MARK" >/dev/null 2>&1 &`),
  sh("processes", "outlive-double-fork", `(setsid sh -c '(sleep "$MARK" &) &' &) ; (trap "" HUP TERM; sleep "$MARK") &`),
  sh(
    "processes",
    "write-first-process-memory",
    `(exec 3<>/proc/1/mem) 2>/dev/null && echo OPEN; (exec 3>/proc/1/mem) 2>/dev/null && echo OPEN; cat /proc/1/maps 2>/dev/null | grep . && echo OPEN; readlink /proc/1/fd/1 2>/dev/null && echo OPEN; true`,
  ),
  py(
    "processes",
    "process-without-filter",
    `import os,re
for p in filter(str.isdigit,os.listdir('/proc')):
  try: t=open('/proc/'+p+'/status').read()
  except OSError: continue
  if re.search(r'Seccomp:\\s+2',t): continue
  for n,f in (('mem',os.O_RDWR),('mem',os.O_RDONLY),('environ',os.O_RDONLY),('maps',os.O_RDONLY),('ns/user',os.O_RDONLY)):
    try: os.close(os.open('/proc/'+p+'/'+n,f)); print('OPEN',p,n)
    except OSError as e: print(p,n,e.strerror)
  for n in ('cwd','root','exe','fd/0'):
    try: print('OPEN',p,os.readlink('/proc/'+p+'/'+n))
    except OSError as e: print(p,n,e.strerror)`,
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

export const DESCRIPTORS: readonly ScriptAttack[] = [
  // To the modes that they have: where this gets through, nothing of the host is worse for it. Their time is whoever's may write them, outside of every cage too; as root it
  // shows that the mount lets their owner in.
  sh(
    "descriptors",
    "device-nodes",
    `for d in null zero full random urandom tty; do chmod 666 /dev/$d 2>/dev/null && echo OPEN $d; [ "$(id -u)" = 0 ] && touch /dev/$d 2>/dev/null && echo OPEN $d; done`,
  ),
  sh(
    "descriptors",
    "device-of-standard-input",
    `chmod 666 /proc/self/fd/0 2>/dev/null && [ -c /proc/self/fd/0 ] && echo OPEN; [ "$(id -u)" = 0 ] && touch /proc/self/fd/0 2>/dev/null && [ -c /proc/self/fd/0 ] && echo OPEN`,
  ),
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

export const TERMINAL: readonly ScriptAttack[] = [
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
  py(
    "terminal",
    "terminal-calls-tier1",
    `import ctypes,os
l=ctypes.CDLL(None,use_errno=True)
m,s=os.openpty()
b=ctypes.create_string_buffer(b'\\x03')
for r in (0x5412,0x541c,0x540e):
  v=l.syscall(16,ctypes.c_long(s),ctypes.c_ulong(r),b)
  if v==0 or ctypes.get_errno()!=1: print('OPEN',hex(r),os.strerror(ctypes.get_errno()))`,
    { tier: 1 },
  ),
];
