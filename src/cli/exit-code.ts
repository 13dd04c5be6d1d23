/** One meaning for each number; see "Exit codes" in the README. This file and error-text.ts are the only places that know them. */
export const ExitCode = {
  DONE: 0,
  BUG: 1,
  USAGE: 2,
  NO_MODEL: 3,
  BAD_MODEL: 4,
  PROMPT_TOO_LONG: 5,
  HEART: 6,
  NO_ROOM: 7,
  NETWORK: 8,
  DENIED: 9,
  NO_APPROVAL: 10,
  NO_CAGE: 11,
  ENGINE: 12,
  CUT_OFF: 13,
  /** A skill ran, and what it ran failed or was stopped. */
  SKILL_FAILED: 16,
  /** `audit verify`, and what stands on it, alone. */
  AUDIT_ALTERED: 20,
  AUDIT_TRUNCATED: 21,
  AUDIT_FORK: 22,
  AUDIT_KEY: 23,
  /** Sound, but nothing from outside says that this is all of it. */
  AUDIT_UNWITNESSED: 24,
  AUDIT_CANNOT: 30,
  TIMEOUT: 124,
  SIGHUP: 129,
  SIGINT: 130,
  SIGTERM: 143,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
