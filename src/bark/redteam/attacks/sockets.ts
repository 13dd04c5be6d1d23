import { py, type ScriptAttack, sh } from "../types.ts";

export const SOCKETS: readonly ScriptAttack[] = [
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
  try: s.connect('\\0'+os.environ['ABSTRACT']); s.send(b'x'); print('OPEN')
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
except OSError as e:
  # A kernel that does not know the family was asked.
  if e.errno not in (1,38): print('OPEN',e)`,
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
  // Under the first filter alone: what the kernel says itself, other than that it may not, came past it.
  py(
    "sockets",
    "families-tier1",
    `import socket
# A local socket is the one raw kind that needs no capability.
for f,t,p in ((16,2,0),(17,3,0),(38,5,0),(40,1,0),(1,3,0),(2,3,1),(10,3,58)):
  try: socket.socket(f,t,p); print('OPEN',f,t)
  except OSError as e:
    if e.errno!=1: print('OPEN',f,t,e)`,
    { tier: 1 },
  ),
];
