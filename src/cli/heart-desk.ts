import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { StickLayout } from "../config/layout.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { Explained } from "../headless/result-object.ts";
import { heartCopies, type HeartCopies } from "../heart/copies.ts";
import type { StoredPlace } from "../heart/open.ts";
import type { HeartError } from "../heart/port.ts";
import type { HeartDeps } from "../heart/ports.ts";
import { heartDeps } from "../platform/heart.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { BUILD_DATE } from "./heart-access.ts";
import { copyErrorText, heartErrorText } from "./heart-error-text.ts";
import { heartExists, stickOf } from "./stick.ts";

/** What every command of `noctem heart` stands on. */
export interface HeartArguments {
  readonly json: boolean | undefined;
  readonly heart: string | undefined;
}

export interface HeartDesk {
  readonly layout: StickLayout;
  readonly place: StoredPlace;
  readonly deps: HeartDeps;
  readonly copies: HeartCopies;
  /** Says what went wrong, on stderr and with `--json` as an object too; answers the exit code. */
  readonly refuse: (error: HeartError, about?: Parameters<typeof heartErrorText>[1]) => number;
  /** The same for an error that may name the other copy. */
  readonly refuseCopy: (error: HeartError, copy: string) => number;
  readonly refuseWith: (kind: string, explained: Explained) => number;
  /** Prints the object with `--json`, else the text. */
  readonly answer: (json: object, text: string) => number;
}

export function deskOf({ json, heart }: HeartArguments, io: CommandIo): HeartDesk {
  const layout = stickOf(io, heart);
  const place: StoredPlace = { file: layout.heart, keysDir: layout.keys };
  const deps = heartDeps();
  const refuseWith = (kind: string, { text, code }: Explained): number => {
    if (json) io.out(`${JSON.stringify({ error: { kind, message: text, code } })}\n`);
    io.err(`noctem: ${forTerminal(text)}\n`);
    return code;
  };
  return {
    layout,
    place,
    deps,
    copies: heartCopies(deps, place, BUILD_DATE),
    refuse: (error, about) => refuseWith(error.kind, heartErrorText(error, about)),
    refuseCopy: (error, copy) => refuseWith(error.kind, copyErrorText(error, copy)),
    refuseWith,
    answer: (object, text) => {
      io.out(json ? `${JSON.stringify(object)}\n` : text);
      return ExitCode.DONE;
    },
  };
}

/** The desk of a heart that is there; else says that there is none and answers the code. */
export function withDesk(args: HeartArguments, io: CommandIo, work: (desk: HeartDesk) => number): number {
  const desk = deskOf(args, io);
  return heartExists(desk.layout) ? work(desk) : refuseNone(desk);
}

export const refuseNone = (desk: HeartDesk): number =>
  desk.refuseWith("none", {
    text: `There is no heart at ${desk.layout.heart} yet. The first message makes one; "noctem heart restore FILE" takes one from a backup.`,
    code: ExitCode.USAGE,
  });

/**
 * Why no new file can be made at `target`, said and answered as a code; null when one can. A folder that is not there is not made: most often
 * it is a stick that is not plugged in, and what is private would land on this computer.
 */
export function refuseTarget(desk: HeartDesk, target: string): number | null {
  const facts = desk.deps.files.inspect(target);
  if (facts.kind === "absent" && facts.writable) return null;
  switch (facts.kind) {
    case "absent":
      return desk.refuseWith("read-only", {
        text: `Nothing can be written in the folder of ${target}. Name another place.`,
        code: ExitCode.NO_ROOM,
      });
    case "no-folder":
      return desk.refuseWith("unreadable", {
        text: `There is no folder for ${target}. Plug in its stick or make the folder, or name another place.`,
        code: ExitCode.USAGE,
      });
    case "file":
    case "not-a-file":
      return desk.refuse({ kind: "exists", path: target });
    case "unreadable":
    case "io":
      return desk.refuseWith(facts.kind, {
        text: `Nothing can be written at ${target}: ${facts.detail}. Name another place.`,
        code: ExitCode.NO_ROOM,
      });
  }
}

/** The file that a person means by a folder or a file: a stick is named by its folder. */
export function copyAt(path: string, io: CommandIo): string {
  const full = resolve(io.cwd, path);
  return isFolder(full) ? join(full, "heart.sqlite") : full;
}

export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

export const isThere = (path: string): boolean => existsSync(path);
