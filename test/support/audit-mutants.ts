/** Bugs to be planted in the log and its check, one at a time, to see that its tests notice: what stands there, and what would stand there instead. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export const AUDIT_MUTANTS: readonly Mutant[] = [
  {
    name: "the certificate is not checked",
    file: "src/audit/check.ts",
    from: "if (!this.#crypto.verify(Uint8Array.fromHex(entry.stick)",
    to: "if (false && !this.#crypto.verify(Uint8Array.fromHex(entry.stick)",
  },
  {
    name: "the root is not compared",
    file: "src/audit/check.ts",
    from: "else if (!same(session.frontier.root(), checkpoint.root))",
    to: "else if (false && checkpoint.size < 0)",
  },
  {
    name: "missing ends are no fault",
    file: "src/audit/check.ts",
    from: "if (checkpoint.size > session.next)",
    to: "if (checkpoint.size < 0)",
  },
  {
    name: "claims are not held against the tree",
    file: "src/audit/check.ts",
    from: "session.frontier.root().toHex() !== claim.root",
    to: "session.frontier.root().toHex() === claim.root.slice(1)",
  },
  {
    name: "missing sessions are no fault",
    file: "src/audit/check.ts",
    from: "for (const claim of session.claims) this.#short(id, claim, session.next);",
    to: "",
  },
  { name: "a size of zero passes", file: "src/audit/check.ts", from: "if (claim.size === 0) return", to: "if (claim.size < 0) return" },
  {
    name: "payloads are not compared",
    file: "src/audit/check.ts",
    from: "else if (sound) this.#sound++;",
    to: "else if (sound || !sound) this.#sound++;",
  },
  {
    name: "entries that stand twice are passed over",
    file: "src/audit/check.ts",
    from: "if (entry.seq < session.next) {\n      session.twice++;",
    to: "if (entry.seq < session.next) {",
  },
  {
    name: "nobody vouches for keys",
    file: "src/audit/check.ts",
    from: "if (genesis !== null && !trusted.has(id))",
    to: "if (genesis !== null && trusted.size < 0)",
  },
  {
    name: "a lost checkpoint is no fault",
    file: "src/audit/check.ts",
    from: "if (!this.#notes.some(({ key }) => key === id)) this.#find",
    to: "if (this.#notes.length < 0) this.#find",
  },
  {
    name: "another heart's sessions are ours",
    file: "src/audit/verdict.ts",
    from: "(heart) => heart !== file.heart",
    to: '(heart) => heart === ""',
  },
  {
    name: "leaves are hashed like nodes",
    file: "src/audit/merkle.ts",
    from: "bytes[0] = LEAF;",
    to: "bytes[0] = NODE;",
  },
  {
    name: "a consistency of nothing is one",
    file: "src/audit/merkle.ts",
    from: "before <= 0 || before > size) return false",
    to: "before < 0 || before > size) return false;\n  if (before === 0) return true",
  },
  {
    name: "an entry may be spelt in other ways",
    file: "src/audit/entry.ts",
    from: "&& canonicalJson(parsed.output as unknown as Json) === stored",
    to: "",
  },
  {
    name: "an anchor may be changed",
    file: "src/audit/anchor.ts",
    from: "if (size !== String(lines.length) || root !==",
    to: 'if (size === "x" || "x" ===',
  },
  {
    name: "a wrong countersignature is passed over",
    file: "src/audit/verdict.ts",
    from: 'if (at === "invalid")',
    to: 'if (parentKey.name === "")',
  },
  {
    name: "one version of two is kept",
    file: "src/cli/audit-forks.ts",
    from: "heart.audit.keepVersion({ session, leaves, checkpoint, payloads })",
    to: "heart.audit.keepVersion({ session, leaves: [], checkpoint: ours, payloads: [] })",
  },
  {
    name: "forks are not looked for",
    file: "src/audit/forks.ts",
    from: "first === undefined || here.some((one) => agree(one, version, crypto))",
    to: "first === undefined || here.length > 0",
  },
  {
    name: "a session goes on where the file was changed under it",
    file: "src/heart/audit.ts",
    from: "return (head?.note ?? null) === after",
    to: "return ((head?.note ?? null) === after || true)",
  },
  {
    name: "a session goes on under another hand",
    file: "src/heart/audit.ts",
    from: "(head === null || head.actor === actor)",
    to: "(head === null || head.actor > 0)",
  },
  {
    name: "a checkpoint is written over whatever stands there",
    file: "src/heart/audit.ts",
    from: "own.note === after && own.epoch === epoch",
    to: "own.note === after && own.epoch <= epoch",
  },
  {
    name: "a repair brings notes of ended sessions back",
    file: "src/heart/care/salvage.ts",
    from: "    dropEnded(this.#db);\n",
    to: "",
  },
  {
    name: "an end among other entries ends nothing",
    file: "src/audit/log.ts",
    from: 'const isLast = entries.at(-1)?.draft.kind === "end";',
    to: "const isLast = false;",
  },
  {
    name: "entries are told of one place too low where the clock is in doubt",
    file: "src/audit/log.ts",
    from: "begun.value[0]?.clock !== 0 ? 1 : 0;",
    to: "begun.value[0]?.clock !== 0 ? 0 : 0;",
  },
  {
    name: "what copies left twice is listed twice",
    file: "src/heart/audit-file.ts",
    from: "found.map((row) => [row.leaf, row])",
    to: "found.map((row, i) => [`${i}${row.leaf}`, row])",
  },
  {
    name: "an earlier checkpoint beside the last is no fault",
    file: "src/audit/check.ts",
    from: "for (const id of this.#file.leftBehind())",
    to: "for (const id of this.#file.leftBehind().slice(9))",
  },
  {
    name: "copies that are equal otherwise are not asked for notes",
    file: "src/heart/merge/merge.ts",
    from: "    keepHeads(db, mac, heads);\n    noteEqual",
    to: "    noteEqual",
  },
  {
    name: "rows that are missing are made up for when a heart is brought up",
    file: "src/heart/open.ts",
    from: "else rebuildStreams(db, mac);",
    to: "rebuildStreams(db, mac);",
  },
  { name: "an end leaves the note", file: "src/heart/audit.ts", from: "      dropHead(db, session);\n", to: "" },
  {
    name: "notes are not carried",
    file: "src/heart/live-heads.ts",
    from: "if (size > sizeOf(liveHead",
    to: "if (size < 0 && sizeOf(liveHead",
  },
  {
    name: "a shorter note wins",
    file: "src/heart/live-heads.ts",
    from: 'if (size > sizeOf(liveHead(db, mac, session)?.note ?? ""))',
    to: "if (size > 0)",
  },
  {
    name: "a note outlives the end that a merge brings",
    file: "src/heart/live-heads.ts",
    from: "writeMeta(db, mac, [headKey(session), value]);\n  dropEnded(db);",
    to: "writeMeta(db, mac, [headKey(session), value]);",
  },
  {
    name: "a note that was altered is taken",
    file: "src/heart/live-heads.ts",
    from: 'mac === null || mac.verify("meta",',
    to: 'mac !== undefined || mac.verify("meta",',
  },
  {
    name: "a repair loses notes",
    file: "src/heart/care/salvage.ts",
    from: "if (parseHead(value) !== null) writeMeta",
    to: "if (parseHead(value) === undefined) writeMeta",
  },
  {
    name: "beginnings of the version before are not looked for",
    file: "src/heart/audit.ts",
    from: "const leaves = [older, n].flatMap(",
    to: "const leaves = [Number.MAX_SAFE_INTEGER, n].flatMap(",
  },
  {
    name: "what a newer version sent stays aside",
    file: "src/heart/open.ts",
    from: "if (before.length > 0) takeInAside(db, mac, added);",
    to: "if (before.length > 0) void added;",
  },
  {
    name: "what an older source kept of this version's stays aside",
    file: "src/heart/merge/delta.ts",
    from: "      if (columns === null) continue;\n      if (!put(",
    to: "      if (columns !== undefined) continue;\n      if (!put(",
  },
  {
    name: "of entries in one row the first is read",
    file: "src/heart/leaf-groups.ts",
    from: "return leaves.length > MOST_IN_ROW.leaves ? [body] : leaves;",
    to: "return leaves.slice(0, 1);",
  },
  {
    name: "a row may have lines without end",
    file: "src/heart/leaf-groups.ts",
    from: "return leaves.length > MOST_IN_ROW.leaves ? [body] : leaves;",
    to: 'return body.split(BORDER).filter((leaf) => leaf !== "");',
  },
  {
    name: "a copy of an entry is no fault",
    file: "src/audit/versions.ts",
    from: "if (copied !== null && !findings.some",
    to: "if (copied !== null && copied < 0 && !findings.some",
  },
  { name: "a session that still grows is forgotten", file: "src/audit/heads.ts", from: "const MOST_LIVE = 8;", to: "const MOST_LIVE = 0;" },
];
