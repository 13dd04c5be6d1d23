/**
 * Makes the seccomp programs in profiles/seccomp from their lists: `bun scripts/seccomp/generate.ts [--check]`.
 *
 * They are committed, because a stick is made where libseccomp may not be; a test makes them anew and compares.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { type Arch, ARCHES, Filter, type Libseccomp, loadLibseccomp, UnknownSyscall } from "./libseccomp.ts";

const FOLDER = join(import.meta.dir, "../../profiles/seccomp");
export const LISTS = ["deny", "allow"] as const;
export type List = (typeof LISTS)[number];

const natural = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Argument = v.pipe(natural, v.maxValue(5));
const Rule = v.strictObject({
  why: v.pipe(v.string(), v.endsWith(".")),
  action: v.picklist(["allow", "EPERM", "ENOSYS"]),
  syscalls: v.pipe(v.array(v.string()), v.minLength(1)),
  /** All must hold: argument & mask = is. */
  where: v.optional(v.array(v.strictObject({ argument: Argument, mask: natural, is: natural })), []),
  /** The rule applies to every value of a 32-bit argument but these. */
  unless: v.optional(v.strictObject({ argument: Argument, values: v.array(natural) })),
});
export const ListSchema = v.strictObject({
  version: v.literal(1),
  why: v.string(),
  otherwise: v.picklist(["allow", "EPERM", "ENOSYS"]),
  rules: v.array(Rule),
});

export const readList = (name: List): v.InferOutput<typeof ListSchema> =>
  v.parse(ListSchema, JSON.parse(readFileSync(join(FOLDER, `${name}.json`), "utf8")));

export const programPath = (name: List, arch: Arch): string => join(FOLDER, `${name}-${arch}.bpf`);

/** Calls that this libseccomp does not know are left to `otherwise`, and told. */
export function generate(lib: Libseccomp, name: List, arch: Arch): { readonly program: Uint8Array; readonly unknown: readonly string[] } {
  const { otherwise, rules } = readList(name);
  using filter = new Filter(lib, otherwise, arch);
  const unknown: string[] = [];
  for (const { action, syscalls, where, unless } of rules) {
    for (const syscall of syscalls) {
      try {
        if (unless === undefined) filter.add(action, syscall, where);
        else for (const condition of differing(unless.argument, unless.values)) filter.add(action, syscall, condition);
      } catch (error) {
        if (!(error instanceof UnknownSyscall)) throw error;
        unknown.push(syscall);
      }
    }
  }
  return { program: filter.export(), unknown };
}

/**
 * "None of these values", bit by bit: libseccomp takes one comparison an argument in a rule, so each rule says of one run of leading
 * bits that it is a value's, and of the next bit that it is not any value's with that beginning.
 */
function differing(argument: number, values: readonly number[]): { argument: number; mask: number; is: number }[][] {
  const rules: { argument: number; mask: number; is: number }[][] = [];
  const walk = (prefix: number, depth: number): void => {
    if (depth === 32) return;
    const bit = 2 ** (31 - depth);
    for (const next of [0, 1]) {
      const value = prefix + next * bit;
      const mask = 2 ** 32 - bit;
      const covered = values.some((wanted) => Math.floor(wanted / bit) * bit === value);
      if (covered) walk(value, depth + 1);
      else rules.push([{ argument, mask, is: value }]);
    }
  };
  walk(0, 0);
  return rules;
}

if (import.meta.main) {
  const lib = loadLibseccomp();
  if (lib === null) {
    console.error("libseccomp is not installed (apt-get install libseccomp2).");
    process.exit(1);
  }
  for (const name of LISTS) {
    for (const arch of Object.keys(ARCHES) as Arch[]) {
      const { program, unknown } = generate(lib, name, arch);
      writeFileSync(programPath(name, arch), program);
      console.log(`${name}-${arch}: ${program.length / 8} instructions${unknown.length > 0 ? `, without ${unknown.join(", ")}` : ""}`);
    }
  }
}
