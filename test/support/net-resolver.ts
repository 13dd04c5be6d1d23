/** A name server for a network of tests: A and AAAA, with answers that may change from one question to the next. */
import { createSocket } from "node:dgram";
import { parseIpv4, parseIpv6 } from "../../src/bark/proxy/address.ts";
import type { Named } from "./net-names.ts";

export interface Resolver extends Disposable {
  /** Names that were asked for since, each once. */
  asked(): readonly string[];
  forget(): void;
}

const A = 1;
const AAAA = 28;

export async function resolver(names: readonly Named[], address = "127.0.0.1"): Promise<Resolver> {
  const zone = new Map(names.map(({ name, answers }) => [name, answers]));
  const times = new Map<string, number>();
  const asked = new Set<string>();
  const socket = createSocket("udp4");
  socket.on("message", (question, from) => {
    const labels: string[] = [];
    let at = 12;
    for (let size = question[at] ?? 0; size > 0; size = question[at] ?? 0) {
      labels.push(question.subarray(at + 1, at + 1 + size).toString("latin1"));
      at += 1 + size;
    }
    const name = labels.join(".").toLowerCase();
    const type = question.readUInt16BE(at + 1);
    asked.add(name);
    const answers = zone.get(name);
    if (answers === "silent") return;
    // Both kinds of a lookup belong together.
    const key = `${name} ${type}`;
    const time = times.get(key) ?? 0;
    times.set(key, time + 1);
    const records = (answers?.[Math.min(time, answers.length - 1)] ?? []).flatMap((text) => {
      const bytes = parseIpv4(text) ?? parseIpv6(text);
      return bytes !== null && bytes.length === (type === A ? 4 : type === AAAA ? 16 : 0) ? [bytes] : [];
    });
    const head = Buffer.from(question.subarray(0, 12));
    head.writeUInt16BE(answers === undefined ? 0x8583 : 0x8580, 2);
    head.writeUInt16BE(records.length, 6);
    head.writeUInt16BE(0, 8);
    head.writeUInt16BE(0, 10);
    const body = records.map((bytes) => Buffer.concat([Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, bytes.length]), bytes]));
    socket.send(Buffer.concat([head, question.subarray(12, at + 5), ...body]), from.port, from.address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(53, address, resolve);
  });
  return {
    asked: () => [...asked],
    forget() {
      asked.clear();
      times.clear();
    },
    [Symbol.dispose]: () => void socket.close(),
  };
}
