import { realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type StickLayout, stickLayout } from "../config/layout.ts";
import {
  flagSettings,
  parseEnvironment,
  parseSettingsFile,
  type ResolvedSettings,
  resolveSettings,
  type Settings,
  type SettingName,
  type SettingsError,
  type SettingsOrigin,
} from "../config/settings.ts";
import { ok, type Result } from "../lib/result.ts";
import { readSmallFile, type SmallFileError } from "../platform/settings-file.ts";
import type { CommandIo } from "./command.ts";

/** Bytes. A settings file holds a page of text. */
const MAX_SETTINGS = 256 * 1024;

/** Where things lie: beside the program, with the heart elsewhere if `--heart` or `NOCTEM_HEART` says so. */
export function stickOf(io: CommandIo, heartFlag: string | undefined): StickLayout {
  const heart = heartFlag ?? (io.env["NOCTEM_HEART"] === "" ? undefined : io.env["NOCTEM_HEART"]);
  return stickLayout(real(dirname(io.program)), heart === undefined ? null : resolve(io.cwd, heart));
}

export interface LoadedSettings {
  readonly settings: ResolvedSettings;
  readonly origins: Readonly<Record<SettingName, SettingsOrigin>>;
}

/** All sources, each checked. The first bad one is the error: half of the settings would be a surprise. */
export function loadSettings(
  layout: StickLayout,
  io: CommandIo,
  flags: Readonly<Record<string, unknown>>,
): Result<LoadedSettings, SettingsError> {
  const flag = flagSettings(flags);
  if (!flag.ok) return flag;
  const environment = parseEnvironment(io.env);
  if (!environment.ok) return environment;
  const file = readSettings(layout);
  return file.ok ? ok(resolveSettings({ flag: flag.value, environment: environment.value, file: file.value })) : file;
}

/** `noctem.json`; empty when there is none. */
export function readSettings(layout: StickLayout): Result<Settings, SettingsError> {
  const text = readSettingsText(layout);
  return text.ok ? parseSettingsFile(text.value, layout.settings) : text;
}

export function readSettingsText(layout: StickLayout): Result<string, SettingsError> {
  const text = readSmallFile(layout.settings, MAX_SETTINGS);
  return text.ok ? ok(text.value ?? "") : { ok: false, error: settingsFileError(layout.settings, text.error) };
}

export function settingsFileError(file: string, error: SmallFileError): SettingsError {
  return error.kind === "too-large" ? { kind: "unreadable", file, detail: `it is larger than ${error.limit} bytes` } : { ...error, file };
}

export function heartExists(layout: StickLayout): boolean {
  try {
    return statSync(layout.heart, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // There, and not to be reached (a stick that is gone, say): opening it will say why. "No conversations" would be a lie.
    return true;
  }
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
