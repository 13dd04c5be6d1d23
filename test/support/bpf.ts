/** Classic BPF as seccomp runs it: enough of an interpreter to ask a program about any call, on any architecture. */

export interface SeccompData {
  readonly nr: number;
  readonly arch: number;
  readonly args?: readonly (number | bigint)[];
}

export type Answer = "allow" | "kill" | "EPERM" | "ENOSYS";

const MOST_STEPS = 100_000;

/** Throws on an instruction that seccomp would refuse, and on a program that runs off its end. */
export function ask(program: Uint8Array, { nr, arch, args = [] }: SeccompData): Answer {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  // struct seccomp_data { int nr; u32 arch; u64 instruction_pointer; u64 args[6] }
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, nr, true);
  data.setUint32(4, arch, true);
  for (const [i, arg] of args.entries()) data.setBigUint64(16 + 8 * i, BigInt.asUintN(64, BigInt(arg)), true);
  let accumulator = 0;
  let pc = 0;
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    if (pc * 8 + 8 > program.length) throw new Error(`ran off the end at ${pc}`);
    const op = code.getUint16(pc * 8, true);
    const [jt, jf, k] = [code.getUint8(pc * 8 + 2), code.getUint8(pc * 8 + 3), code.getUint32(pc * 8 + 4, true)];
    pc++;
    switch (op) {
      case 0x20: // ld [k]
        accumulator = data.getUint32(k, true);
        break;
      case 0x54: // and #k
        accumulator = (accumulator & k) >>> 0;
        break;
      case 0x15: // jeq
        pc += accumulator === k ? jt : jf;
        break;
      case 0x25: // jgt
        pc += accumulator > k ? jt : jf;
        break;
      case 0x35: // jge
        pc += accumulator >= k ? jt : jf;
        break;
      case 0x05: // ja
        pc += k;
        break;
      case 0x06: // ret
        return answerOf(k);
      default:
        throw new Error(`instruction 0x${op.toString(16)} at ${pc - 1}`);
    }
  }
  throw new Error("no end");
}

function answerOf(value: number): Answer {
  if (value === 0x7fff0000) return "allow";
  if (value === 0x80000000 || value === 0) return "kill";
  if (value === 0x00050001) return "EPERM";
  if (value === 0x00050026) return "ENOSYS";
  throw new Error(`returns 0x${value.toString(16)}`);
}
