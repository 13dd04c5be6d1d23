/** Policies and overlays as fast-check makes them: small, so that their rules meet, and sound by their own examples. */
import * as fc from "fast-check";
import compiled from "../../profiles/bark/policy.json";
import { LEVELS } from "./monitor-product.ts";

const PROGRAMS = ["cat", "ls", "git", "rm", "sudo", "made-up"];
const PATHS = ["notes.md", "src/main.ts", "a/.env", ".ssh/id_rsa", "deep/er/file.pem"];
const HOSTS = ["example.org", "docs.example.org", "other.test"];
const LINES = [
  "ls -la",
  "cat notes.md",
  "git log -p",
  "git push",
  "rm -r x",
  "sudo ls",
  "made-up --all",
  "cat a/.env | ls",
  "cat deep/er/file.pem",
];
const SKILLS = Object.keys(compiled.skills);

export const anyLine = fc.oneof(
  fc.constantFrom(...LINES),
  fc
    .array(fc.constantFrom(...PROGRAMS, ...PATHS, "-r", "--all", "|", "&&", ";", ">", "'x y'", "$x"), { maxLength: 7 })
    .map((words) => words.join(" ")),
);
export const anyPath = fc.oneof(
  fc.constantFrom(...PATHS),
  fc.constantFrom(...PATHS).map((path) => `sub/${path.toUpperCase()}`),
);
export const anyHost = fc.tuple(fc.constantFrom(...HOSTS), fc.constantFrom(80, 443));
export const anySkill = fc.constantFrom(...SKILLS);

type Outcomes = readonly ("allow" | "ask" | "deny")[];

/** Rules of a kind, with names of their own and examples that hold. `named` begins each name. */
const rules = (named: string, outcomes: Outcomes) => {
  const outcome = fc.constantFrom(...outcomes);
  const command = fc
    .record({ outcome, program: fc.constantFrom(...PROGRAMS), without: fc.subarray(["-r", "--all"]) })
    .map(({ outcome: of, program, without }) => ({
      outcome: of,
      reason: "It is so.",
      programs: [program],
      without,
      match: [`${program} x`],
      not_match: ["another x"],
    }));
  const path = fc
    .record({
      outcome,
      at: fc.constantFrom(...PATHS),
      operations: fc.subarray(["read", "write"], { minLength: 1 }),
      confidentiality: fc.option(fc.constantFrom(...LEVELS), { nil: undefined }),
    })
    .map(({ outcome: of, at, operations, confidentiality }) => ({
      outcome: of,
      reason: "It is so.",
      operations,
      paths: [`**/${at}`],
      ...(confidentiality === undefined ? {} : { confidentiality }),
      match: [at],
      not_match: ["nothing"],
    }));
  const host = fc
    .record({ outcome, at: fc.constantFrom(...HOSTS), ports: fc.subarray([80, 443], { minLength: 1 }) })
    .map(({ outcome: of, at, ports }) => ({
      outcome: of,
      reason: "It is so.",
      hosts: [at, `*.${at}`],
      ports,
      match: [`${at}:${ports[0]}`],
      not_match: ["nowhere.test"],
    }));
  const numbered = <T extends object>(kind: string, one: fc.Arbitrary<T>) =>
    fc.array(one, { maxLength: 5 }).map((all) => all.map((rule, at) => ({ id: `${named}.${kind}-${at}`, ...rule })));
  return fc.record({ commands: numbered("command", command), paths: numbered("path", path), hosts: numbered("host", host) });
};

/** The build's policy, or one of some of its rules and others. */
export const anyPolicy = fc.record({ own: rules("own", ["allow", "ask", "deny"]), keep: fc.boolean() }).map(({ own, keep }) => ({
  ...compiled,
  commands: [...(keep ? compiled.commands : []), ...own.commands],
  paths: [...(keep ? compiled.paths : []), ...own.paths],
  hosts: [...(keep ? compiled.hosts : []), ...own.hosts],
  skills: keep ? compiled.skills : unconnected,
}));

/** A list of rules names none that is gone. */
const unconnected = Object.fromEntries(
  Object.entries(compiled.skills).map(([name, skill]) => [
    name,
    { ...skill, ...("network" in skill ? { network: { ...skill.network, rules: [] } } : {}) },
  ]),
);

/** Overlays that mostly tighten: some would loosen, and are to be refused. */
export const anyOverlay = fc
  .record({
    own: fc.oneof(
      { weight: 4, arbitrary: rules("parent", ["ask", "deny"]) },
      { weight: 1, arbitrary: rules("parent", ["allow", "ask", "deny"]) },
    ),
    skills: fc.dictionary(
      anySkill,
      fc.record(
        {
          tier: fc.constantFrom(2, 3, 3, 4, 4),
          clearance: fc.record({ c: fc.constantFrom(0, 0, 1, 1, 3), k: fc.subarray(["heart", "files", "web"]) }, { requiredKeys: [] }),
          network: fc.constant(null),
          limits: fc.record(
            { wallMs: fc.constantFrom(1000, 5000, 700_000), processes: fc.constantFrom(1, 16, 5000) },
            { requiredKeys: [] },
          ),
        },
        { requiredKeys: [] },
      ),
      { maxKeys: 2 },
    ),
    withoutEnvironment: fc.subarray([...compiled.environment]),
    changes: fc.record({ files: fc.constantFrom(1, 100, 5000), bytes: fc.constantFrom(1, 1000) }, { requiredKeys: [] }),
  })
  .map(({ own, ...rest }) => ({ kind: "noctem-policy-overlay", version: 1, ...own, ...rest }));
