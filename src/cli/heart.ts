import { defineCommand, JSON_OPTION } from "./command.ts";

const COMMON = {
  ...JSON_OPTION,
  heart: { type: "string", value: "FILE", describe: "Another heart than the one beside the program" },
} as const;
const CONFLICT = { id: { describe: 'of "noctem heart conflicts"; its first digits are enough', required: true } } as const;

export const heartCommand = defineCommand({
  name: "heart",
  describe: "Copies of the heart, and its health",
  group: "The heart",
  about: [
    "The heart is one file, heart.sqlite. Copies of it, on other sticks or made by copying the folder, go on by themselves and are brought together with sync: nothing is lost, nothing forgotten comes back, and a file that is damaged or not a copy of this heart is refused.",
    "Nothing here uses the network.",
  ],
  examples: [
    ["noctem heart status", "what it holds, which copies it knows, what needs a look"],
    ["noctem heart sync /media/other-stick --both", "bring two sticks together"],
    ["noctem heart conflicts", "what lost against a concurrent write"],
  ],
  commands: [
    defineCommand({
      name: "status",
      describe: "What the heart holds, which copies it knows, and what needs a look",
      about: [
        "Shows each replica with the stick and the class of host it was last written on, and how far it was behind when the two last met; values that lost against a concurrent write; clocks that could not be believed.",
        "An older heart is brought up to date by this, and a write that was cut off is taken back.",
      ],
      options: COMMON,
      examples: [["noctem heart status --heart /media/other-stick/heart.sqlite", "of another stick"]],
      run: async (args, io) => (await import("./heart-status-run.ts")).showStatus(args, io),
    }),
    defineCommand({
      name: "info",
      describe: "The file: its ids, format, size and rows",
      about: ["Counts what stands in the tables, and checks nothing. Works without the keys too."],
      options: COMMON,
      run: async (args, io) => (await import("./heart-status-run.ts")).showInfo(args, io),
    }),
    defineCommand({
      name: "sync",
      describe: "Take in what another copy has",
      about: [
        'OTHER is the folder of a stick, a heart or a backup of one. It is only read, and this heart takes what it lacks in one step: all of it or nothing. Values that lose against a concurrent write are kept for "noctem heart conflicts". Texts that were forgotten there are forgotten here.',
        "With --both the other one takes what it lacks as well; for that it needs its own keys/ beside it.",
      ],
      positionals: { other: { describe: "the folder of a stick, a heart, or a backup", required: true, path: true } },
      options: {
        ...COMMON,
        both: { type: "boolean", describe: "Let the other copy take from this one as well" },
        "dry-run": { type: "boolean", describe: "Only say what would be taken" },
        verbose: { type: "boolean", describe: "How they were compared, and values by kind" },
      },
      examples: [
        ["noctem heart sync /media/other-stick", "take"],
        ["noctem heart sync /media/other-stick --both", "take and give"],
        ["noctem heart sync old-backup.sqlite --dry-run", "what a backup has that is not here"],
      ],
      run: async (args, io) => (await import("./heart-sync-run.ts")).syncHeart(args, io),
    }),
    defineCommand({
      name: "conflicts",
      describe: "Values that lost against a concurrent write",
      about: [
        "When two copies changed the same value without knowing of each other, the later write stands on all of them. The other is kept on the copy that merged, until you have looked at it.",
      ],
      options: COMMON,
      examples: [
        ["noctem heart conflicts", "both sides of each"],
        ["noctem heart conflicts restore 3fa9", "let the lost value stand, on all copies"],
        ["noctem heart conflicts dismiss 3fa9", "take it off the list"],
      ],
      run: async (args, io) => (await import("./heart-conflicts-run.ts")).listAll(args, io),
      commands: [
        defineCommand({
          name: "list",
          describe: "List them, with both sides",
          options: COMMON,
          run: async (args, io) => (await import("./heart-conflicts-run.ts")).listAll(args, io),
        }),
        defineCommand({
          name: "show",
          describe: "Print both sides in full",
          positionals: CONFLICT,
          options: COMMON,
          run: async (args, io) => (await import("./heart-conflicts-run.ts")).showOne(args, io),
        }),
        defineCommand({
          name: "restore",
          describe: "Write the lost value over what stands",
          about: ["A new write, which every copy will follow. What stood takes its place in the list, so that it can be taken back."],
          positionals: CONFLICT,
          options: COMMON,
          run: async (args, io) => (await import("./heart-conflicts-run.ts")).restoreOne(args, io),
        }),
        defineCommand({
          name: "dismiss",
          describe: "Take it off the list; what stands stays",
          positionals: CONFLICT,
          options: COMMON,
          run: async (args, io) => (await import("./heart-conflicts-run.ts")).dismissOne(args, io),
        }),
      ],
    }),
    defineCommand({
      name: "verify",
      describe: "Check that everything in it is as it was written",
      about: [
        "Pages, tables, the seal of each row, texts, the counts of each writing session and what is derived from them. Each fault is named. Reads only. The exit code is 0 when it is sound and 6 when not.",
      ],
      positionals: { file: { describe: "a backup or another copy, checked under this heart's keys", required: false } },
      options: COMMON,
      examples: [["noctem heart verify backups/heart-2026-11-23T08-30-00Z.sqlite", "a backup"]],
      run: async (args, io) => (await import("./heart-care-run.ts")).verify(args, io),
    }),
    defineCommand({
      name: "repair",
      describe: "Save what is sound in a damaged heart into a new file",
      about: [
        "The damaged file is only read. Each row whose seal holds is taken over, the rest is counted. Rows that are missing afterwards come back with a sync with a whole copy.",
      ],
      positionals: { file: { describe: "the new file; without it heart.repaired.sqlite beside the heart", required: false } },
      options: COMMON,
      examples: [["noctem heart repair && noctem heart restore heart.repaired.sqlite", "on the stick, and put it in place"]],
      run: async (args, io) => (await import("./heart-care-run.ts")).repair(args, io),
    }),
    defineCommand({
      name: "backup",
      describe: "Copy the heart into a file, verified",
      about: [
        "Works while a chat is open. Without FILE into backups/, under a name with the time. The keys are not in a backup: keep a copy of keys/ elsewhere, in a safe place, or a lost stick makes its backups unreadable to you too.",
        "A backup can be merged (sync) and put back (restore).",
      ],
      positionals: { file: { describe: "written anew, never overwritten; or a folder", required: false } },
      options: COMMON,
      examples: [["noctem heart backup /mnt/disk/", "onto another disk"]],
      run: async (args, io) => (await import("./heart-backup-run.ts")).backup(args, io),
    }),
    defineCommand({
      name: "restore",
      describe: "Put a backup in the heart's place",
      about: [
        "The backup is verified first, and what is there now is kept in backups/. What you forgot since stays forgotten. To take in what a backup has without going back to it, use sync.",
      ],
      positionals: { file: { describe: "a backup, or what a repair made", required: true } },
      options: { ...COMMON, yes: { type: "boolean", alias: "y", describe: "Do not ask" } },
      examples: [["noctem heart restore backups/heart-2026-11-23T08-30-00Z.sqlite", "go back to it"]],
      run: async (args, io) => await (await import("./heart-backup-run.ts")).restore(args, io),
    }),
    defineCommand({
      name: "fork",
      describe: "Make a replica for another stick, with its keys",
      about: [
        "A replica has a name of its own in status, and can be retired when its stick is lost. Copying the whole folder works as well; such a copy goes by the name of the one it was made of.",
      ],
      positionals: { dest: { describe: "the folder of the other stick", required: true, path: true } },
      options: COMMON,
      examples: [["noctem heart fork /media/other-stick", "then copy the program there"]],
      run: async (args, io) => (await import("./heart-backup-run.ts")).fork(args, io),
    }),
    defineCommand({
      name: "export",
      describe: "Write everything you have in the heart as JSON Lines",
      about: [
        "For other programs, and for keeping: messages with all takes, tasks, memory, the log of skills, incidents, settings of the heart. One JSON object a line, a header first and a count last. What was forgotten is not in it, nor are keys. Without FILE it goes to standard output.",
        "An export is readable by anyone who gets hold of it. To keep a copy that can be merged or put back as it is, make a backup.",
      ],
      positionals: { file: { describe: "written anew, never overwritten; without it standard output", required: false } },
      options: COMMON,
      examples: [
        ["noctem heart export everything.jsonl", "all of it"],
        ["noctem heart export | jq -r 'select(.type==\"memory\") | .text'", "one kind"],
      ],
      run: async (args, io) => await (await import("./heart-transfer-run.ts")).exportHeart(args, io),
    }),
    defineCommand({
      name: "import",
      describe: "Add what an export has and this heart has not",
      about: [
        "Everything comes in as data from outside: it can be read and searched, and nothing in it is followed as if you had said it. Importing twice adds nothing. What was forgotten or removed here stays so. Approvals and grants are left out.",
        "A file with a wrong line is refused by its number, with nothing changed.",
      ],
      positionals: { file: { describe: 'written by "noctem heart export"', required: true } },
      options: COMMON,
      examples: [["noctem heart import everything.jsonl", "from another heart"]],
      run: async (args, io) => (await import("./heart-transfer-run.ts")).importHeart(args, io),
    }),
    defineCommand({
      name: "retire",
      describe: "Say that a replica will not come back",
      about: [
        'A stick that was lost holds up "compact", which prunes only what every copy has seen. A retired replica that comes back after all is merged in full.',
      ],
      positionals: { replica: { describe: 'of "noctem heart status"; its first digits are enough', required: true } },
      options: COMMON,
      run: async (args, io) => (await import("./heart-replicas-run.ts")).retire(args, io),
    }),
    defineCommand({
      name: "compact",
      describe: "Prune what every copy has seen",
      about: ["Notes of removed tasks, and the bookkeeping of ended writing sessions. Nothing that you wrote is touched."],
      options: COMMON,
      run: async (args, io) => (await import("./heart-replicas-run.ts")).compact(args, io),
    }),
  ],
});
