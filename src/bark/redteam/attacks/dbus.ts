import { py, type ScriptAttack, sh } from "../types.ts";

/** What a message bus says first: who connects gets an answer, and from there every service of the session. */
const hello = (addresses: string): string => `import socket,os
for a in ${addresses}:
  s=socket.socket(socket.AF_UNIX)
  try:
    s.connect(a); s.send(b'\\0AUTH EXTERNAL 30\\r\\n'); print('OPEN',repr(a))
  except OSError: pass`;

export const DBUS: readonly ScriptAttack[] = [
  py("D-Bus", "session-bus", hello(`[os.environ['BUS'],'/proc/1/root'+os.environ['BUS']]`)),
  py("D-Bus", "system-bus", hello(`[os.environ['SYSTEM_BUS'],'/run/dbus/system_bus_socket','/var/run/dbus/system_bus_socket']`)),
  py("D-Bus", "abstract-bus", hello(`['\\0'+os.environ['ABSTRACT_BUS'],'\\0/tmp/.ICE-unix/1','\\0/tmp/.X11-unix/X0']`)),
  sh("D-Bus", "bus-variables", `env | grep -E 'DBUS|XDG_RUNTIME|AT_SPI|SESSION_MANAGER' && echo OPEN`),
  sh("D-Bus", "bus-in-runtime-folder", `find /run /tmp /var /home -name bus -o -name '*bus_socket' 2>/dev/null | grep . && echo OPEN`),
  py(
    "D-Bus",
    "bus-by-datagram",
    `import socket,os
a,b=socket.socketpair(socket.AF_UNIX,socket.SOCK_DGRAM)
for p in (os.environ['BUS']+'.dgram','/run/systemd/notify','/run/systemd/journal/socket','/dev/log'):
  try: a.sendto(b'READY=1',p); print('OPEN',p)
  except OSError: pass`,
  ),
  sh(
    "D-Bus",
    "start-a-service",
    `for p in busctl dbus-send gdbus systemd-run; do $p --user --help >/dev/null 2>&1; done
dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ListNames && echo OPEN
busctl --user list 2>/dev/null | grep . && echo OPEN; systemd-run --user true 2>/dev/null && echo OPEN; true`,
  ),
];
