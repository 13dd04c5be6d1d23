/** A session bus of the test's own, and services on it that count who calls them. Just enough of the protocol: names are claimed, every call gets an empty answer. */
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Why there can be no bus here; null where there can. */
export const NO_BUS: string | null =
  ["dbus-daemon", "dbus-send", "xdg-dbus-proxy"]
    .filter((program) => Bun.which(program) === null)
    .map((program) => `${program} is not installed`)[0] ?? null;

export interface TestBus extends AsyncDisposable {
  readonly address: string;
  /** Calls that each service was reached by: name → members. */
  readonly calls: ReadonlyMap<string, readonly string[]>;
}

const CONFIG = (socket: string): string => `<busconfig><type>session</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`;

/** `folder` holds its socket. */
export async function startBus(folder: string, names: readonly string[]): Promise<TestBus> {
  const socket = join(folder, "bus");
  const config = join(folder, "bus.conf");
  await Bun.write(config, CONFIG(socket));
  const daemon = Bun.spawn(["dbus-daemon", `--config-file=${config}`, "--nofork", "--nopidfile", "--nosyslog"], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  for (let tries = 0; tries < 200 && !existsSync(socket); tries++) await Bun.sleep(10);
  const calls = new Map<string, string[]>();
  const ends: (() => void)[] = [];
  for (const name of names) {
    const members: string[] = [];
    calls.set(name, members);
    ends.push(await serve(socket, name, (member) => members.push(member)));
  }
  return {
    address: `unix:path=${socket}`,
    calls,
    async [Symbol.asyncDispose]() {
      for (const end of ends) end();
      daemon.kill("SIGKILL");
      await daemon.exited;
    },
  };
}

async function serve(socket: string, name: string, onCall: (member: string) => void): Promise<() => void> {
  let buffer = Buffer.alloc(0);
  let authenticated = false;
  let serial = 0;
  let owned: () => void = () => undefined;
  const isOwned = new Promise<void>((resolve) => {
    owned = resolve;
  });
  const connection = await Bun.connect({
    unix: socket,
    socket: {
      data(peer, bytes) {
        buffer = Buffer.concat([buffer, bytes]);
        if (!authenticated) {
          if (!buffer.includes("\r\n")) return;
          authenticated = true;
          buffer = buffer.subarray(buffer.indexOf("\r\n") + 2);
          peer.write("BEGIN\r\n");
          peer.write(call(++serial, "Hello", Buffer.alloc(0), ""));
          peer.write(call(++serial, "RequestName", Buffer.concat([string(name, 4), Buffer.from([4, 0, 0, 0])]), "su"));
          return;
        }
        for (let message = take(); message !== null; message = take()) {
          if (message.type === METHOD_RETURN && message.replyTo === 2) owned();
          if (message.type !== METHOD_CALL) continue;
          onCall(message.member);
          peer.write(reply(++serial, message));
        }
      },
    },
  });
  function take(): Message | null {
    const whole = lengthOf(buffer);
    if (whole === null || buffer.length < whole) return null;
    const message = parse(buffer);
    buffer = buffer.subarray(whole);
    return message;
  }
  connection.write(`\0AUTH EXTERNAL ${Buffer.from(String(process.geteuid?.() ?? 0)).toString("hex")}\r\n`);
  await isOwned;
  return () => connection.end();
}

const METHOD_CALL = 1;
const METHOD_RETURN = 2;

interface Message {
  readonly type: number;
  readonly serial: number;
  readonly replyTo: number;
  readonly sender: string;
  readonly member: string;
}

const aligned = (length: number, to: number): number => Math.ceil(length / to) * to;
/** Of the first message; null while its head is not all there. Little-endian, as everything here is. */
const lengthOf = (bytes: Buffer): number | null =>
  bytes.length < 16 ? null : aligned(16 + bytes.readUInt32LE(12), 8) + bytes.readUInt32LE(4);

function parse(bytes: Buffer): Message {
  const end = 16 + bytes.readUInt32LE(12);
  const fields = new Map<number, string | number>();
  for (let at = 16; at < end;) {
    at = aligned(at, 8);
    const code = bytes[at] ?? 0;
    const type = String.fromCharCode(bytes[at + 2] ?? 0);
    at += 4;
    if (type === "u") {
      fields.set(code, bytes.readUInt32LE(at));
      at += 4;
    } else if (type === "g") {
      at += 2 + (bytes[at] ?? 0);
    } else {
      const length = bytes.readUInt32LE(at);
      fields.set(code, bytes.toString("utf8", at + 4, at + 4 + length));
      at += 5 + length;
    }
  }
  return {
    type: bytes[1] ?? 0,
    serial: bytes.readUInt32LE(8),
    replyTo: Number(fields.get(5) ?? 0),
    sender: String(fields.get(7) ?? ""),
    member: String(fields.get(3) ?? ""),
  };
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
/** `to`: what follows begins at a multiple of it. */
function string(text: string, to = 1): Buffer {
  const whole = Buffer.concat([number(Buffer.byteLength(text)), Buffer.from(`${text}\0`)]);
  return Buffer.concat([whole, Buffer.alloc(aligned(whole.length, to) - whole.length)]);
}
const field = (code: number, type: string, value: Buffer): Buffer => Buffer.concat([Buffer.from([code, 1, type.charCodeAt(0), 0]), value]);
const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length, 8) - bytes.length)]);
const signature = (text: string): Buffer => Buffer.from([text.length, ...Buffer.from(text), 0]);

function message(type: number, serial: number, fields: readonly Buffer[], body: Buffer): Buffer {
  // The last field's padding belongs to the header, and not to the list whose length is told.
  const joined = Buffer.concat([...fields.slice(0, -1).map(padded), ...fields.slice(-1)]);
  return Buffer.concat([Buffer.from([0x6c, type, 0, 1]), number(body.length), number(serial), number(joined.length), padded(joined), body]);
}
function call(serial: number, member: string, body: Buffer, types: string): Buffer {
  const bus = "org.freedesktop.DBus";
  const fields = [
    field(1, "o", string("/org/freedesktop/DBus")),
    field(2, "s", string(bus)),
    field(3, "s", string(member)),
    field(6, "s", string(bus)),
  ];
  return message(METHOD_CALL, serial, types === "" ? fields : [...fields, field(8, "g", signature(types))], body);
}
const reply = (serial: number, to: Message): Buffer =>
  message(METHOD_RETURN, serial, [field(5, "u", number(to.serial)), field(6, "s", string(to.sender))], Buffer.alloc(0));
