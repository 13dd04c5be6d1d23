import { defineCommand, JSON_OPTION } from "./command.ts";
import { PASSPHRASE_OPTION } from "./asking-options.ts";

const STICK = {
  ...JSON_OPTION,
  heart: { type: "string", value: "FILE", describe: "Another heart than the one beside the program; no key is needed to read it" },
} as const;
const PARENT_KEY = {
  type: "string",
  value: "FILE",
  describe: "The parent's public key: what they countersigned is held against the log",
} as const;
const ANCHOR = {
  type: "string",
  value: "FILE",
  describe: "What noctem audit anchor wrote earlier and was kept elsewhere; a file may hold several",
} as const;

export const auditCommand = defineCommand({
  name: "audit",
  describe: "The signed log of what was done here, and whether it is all there",
  group: "Skills",
  about: [
    "Every decision about a skill's call, and what came of it, is written before and after into a log that is signed as it grows. Each run of the program is a session under a key of its own, which is never stored; a session commits to those before it.",
    "What no check of the file alone can see: that its newest end was cut off, or that a whole older copy lies there. For that, an anchor has to be kept somewhere else: on paper, in a message, on the other stick. Nor can it see a session that somebody with the stick's key added, or anything before the first anchor that such a thief wrote anew.",
  ],
  examples: [
    ["noctem audit anchor --file heads.txt", "then keep heads.txt where nobody with the stick can reach it"],
    ["noctem audit verify --anchor heads.txt", "is everything there that was there then, and unchanged?"],
    ["noctem audit log", "what was done lately"],
  ],
  commands: [
    defineCommand({
      name: "log",
      describe: "Entries of the log, newest first",
      options: {
        ...STICK,
        limit: { type: "number", value: "N", describe: "At most N (default 30)", range: { min: 1, max: 100_000, integer: true } },
        kind: { type: "string", value: "KIND", describe: "Only entries of this kind: intent, outcome, approval, incident …" },
        session: { type: "string", value: "ID", describe: "Only of this session; four digits of it are enough" },
      },
      run: async (args, io) => (await import("./audit-log-run.ts")).showLog(args, io),
    }),
    defineCommand({
      name: "show",
      describe: "One entry whole, with what lies apart from it",
      positionals: { entry: { describe: 'SESSION:NUMBER, as "noctem audit log" prints it', required: true } },
      options: STICK,
      run: async (args, io) => (await import("./audit-log-run.ts")).showEntry(args, io),
    }),
    defineCommand({
      name: "verify",
      describe: "Check the whole log, against what was kept outside if there is anything",
      about: [
        "Works on a copy of a heart on any computer, without its keys. Every entry is held against the tree that its session's key signed, every session against what later ones say of it, and all of it against an anchor, the parent's countersignature or another copy of the heart.",
        "Ends with 0 when it is sound and witnessed from outside, 20 when something was altered, 21 when something is missing at the end, 22 when one session has two signed versions, 23 when a key that nobody vouches for signed something, 24 when it is sound but nothing from outside says that it is whole, 30 when it cannot be checked.",
        "Without an anchor it cannot be seen that the newest entries or sessions are gone, that the file is an older copy, that all of the log was written anew by somebody with the keys, or that such a thief added a session. With one, everything up to the anchor is certain; later entries are only as certain as without.",
      ],
      options: {
        ...STICK,
        anchor: ANCHOR,
        against: { type: "string", value: "FILE", describe: "Another copy of this heart: the other stick, or a backup" },
        "parent-key": PARENT_KEY,
      },
      examples: [
        ["noctem audit verify --heart copy.sqlite --anchor heads.txt", "a copied heart, anywhere"],
        ["noctem audit verify --parent-key parent.pub", "against the parent's last countersignature"],
      ],
      run: async (args, io) => (await import("./audit-verify-run.ts")).verifyLog(args, io),
    }),
    defineCommand({
      name: "anchor",
      describe: "Write down the heads of the log, to be kept elsewhere",
      about: ["Checks the log first: what is not sound is not anchored. The newest heads commit to all that came before."],
      options: {
        ...STICK,
        file: { type: "string", value: "FILE", describe: "Into this new file" },
        text: { type: "boolean", describe: "Print it (the default)" },
        qr: { type: "boolean", describe: "Print it as a QR code, for a photo" },
      },
      run: async (args, io) => (await import("./audit-anchor-run.ts")).anchorLog(args, io),
    }),
    defineCommand({
      name: "prove",
      describe: "Prove one entry, or that the log goes on from an anchor, to somebody who has no copy of the heart",
      about: [
        "Prints a JSON file: the entry, the hashes that lead from it to the signed head of its session (RFC 6962), and the certificate of the session's key. With --check such a file is checked, and no heart is needed.",
      ],
      positionals: { entry: { describe: "SESSION:NUMBER; without it, that the log begins with what --anchor names", required: false } },
      options: {
        ...STICK,
        anchor: ANCHOR,
        check: { type: "string", value: "FILE", describe: "Check a proof instead of making one" },
      },
      examples: [
        ["noctem audit prove 3f2a:7 > proof.json", "entry 7 of the session that begins with 3f2a"],
        ["noctem audit prove --check proof.json --anchor heads.txt", "and is it one that the anchor vouches for?"],
      ],
      run: async (args, io) => (await import("./audit-prove-run.ts")).prove(args, io),
    }),
    defineCommand({
      name: "report",
      describe: "What was done, refused and approved, from checked entries alone",
      options: {
        ...STICK,
        anchor: ANCHOR,
        "parent-key": PARENT_KEY,
        days: { type: "number", value: "N", describe: "Only the last N days", range: { min: 1, max: 36_500, integer: true } },
        html: { type: "string", value: "FILE", describe: "Into this new file, for a browser without a network" },
      },
      run: async (args, io) => (await import("./audit-report-run.ts")).report(args, io),
    }),
    defineCommand({
      name: "attest",
      describe: "Sign a statement about the log, an approval or an adapter, for tools of others",
      about: [
        "Writes an in-toto statement in a DSSE envelope, signed by the stick's key or, with --parent, by the parent's. Checks the log first. With --check such a file is checked.",
      ],
      positionals: { entry: { describe: "an approval as SESSION:NUMBER; without it the report of the whole log", required: false } },
      options: {
        ...STICK,
        ...PASSPHRASE_OPTION,
        adapter: { type: "string", value: "FILE", describe: "What the log knows of this adapter" },
        out: { type: "string", value: "FILE", describe: "Into this new file" },
        parent: { type: "boolean", describe: "Sign with the parent's key" },
        key: { type: "string", value: "FILE", describe: "Where the parent's secret half is, if not on this stick" },
        check: { type: "string", value: "FILE", describe: "Check an attestation instead of making one" },
        anchor: ANCHOR,
        "parent-key": PARENT_KEY,
      },
      examples: [
        ["noctem audit attest --out report.json", "the report of the log, signed"],
        ["noctem audit attest --check report.json --anchor heads.txt", "is it this stick's?"],
      ],
      run: async (args, io) => await (await import("./audit-attest-run.ts")).attest(args, io),
    }),
    defineCommand({
      name: "export",
      describe: "Print the signed entries and heads as JSON Lines",
      positionals: { file: { describe: "a new file; without it standard output", required: false } },
      options: STICK,
      run: async (args, io) => (await import("./audit-export-run.ts")).exportLog(args, io),
    }),
  ],
});
