import {
  environmentName,
  isSettingName,
  parseSettingsFile,
  parseSettingText,
  type ResolvedSettings,
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  type SettingsError,
  type SettingsOrigin,
  withSetting,
} from "../config/settings.ts";
import { nearest } from "../lib/nearest.ts";
import { replaceFile } from "../platform/settings-file.ts";
import { noteInLog } from "./audit-desk.ts";
import type { CommandIo } from "./command.ts";
import { settingsErrorText } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";
import { loadSettings, readSettings, readSettingsText, settingsFileError, stickOf } from "./stick.ts";

interface JsonFlag {
  readonly json: boolean | undefined;
}
interface Named extends JsonFlag {
  readonly name: string;
}

export function listSettings({ json }: JsonFlag, io: CommandIo): number {
  const layout = stickOf(io, undefined);
  const loaded = loadSettings(layout, io, {});
  if (!loaded.ok) return refuse(loaded.error, io);
  const { settings, origins } = loaded.value;
  if (json) {
    const rows = SETTING_NAMES.map((name) => ({
      name,
      value: settings[name],
      origin: origins[name],
      default: SETTINGS[name].fallback,
      environment: environmentName(name),
      describe: SETTINGS[name].describe,
    }));
    io.out(`${JSON.stringify({ file: layout.settings, settings: rows })}\n`);
    return ExitCode.DONE;
  }
  const values = SETTING_NAMES.map((name) => inWords(settings[name]));
  const widths = [Math.max(...SETTING_NAMES.map((name) => name.length)), Math.max(...values.map((value) => value.length))] as const;
  for (const [index, name] of SETTING_NAMES.entries()) {
    const origin = origins[name] === "default" ? "" : `, from ${sourceName(name, origins[name])}`;
    io.out(`${name.padEnd(widths[0])}  ${(values[index] ?? "").padEnd(widths[1])}  ${SETTINGS[name].describe}${origin}\n`);
  }
  return ExitCode.DONE;
}

export function getSetting({ name, json }: Named, io: CommandIo): number {
  const known = settingNamed(name, io);
  if (known === null) return ExitCode.USAGE;
  const loaded = loadSettings(stickOf(io, undefined), io, {});
  if (!loaded.ok) return refuse(loaded.error, io);
  const value: ResolvedSettings[SettingName] = loaded.value.settings[known];
  io.out(json ? `${JSON.stringify({ name: known, value, origin: loaded.value.origins[known] })}\n` : `${value ?? ""}\n`);
  return ExitCode.DONE;
}

export function setSetting({ name, value, json }: Named & { readonly value: string }, io: CommandIo): number {
  const known = settingNamed(name, io);
  if (known === null) return ExitCode.USAGE;
  const layout = stickOf(io, undefined);
  const current = readSettings(layout);
  if (!current.ok) return refuse(current.error, io);
  const parsed = parseSettingText(known, value, "config set");
  if (!parsed.ok) return refuse(parsed.error, io);
  const text = withSetting(current.value, known, parsed.value);
  // The file's own rules once more: a value that is good on the command line may not be one for a stick that travels.
  const whole = parseSettingsFile(text, "config set");
  if (!whole.ok) return refuse(whole.error, io);
  return write(text, { name: known, value: parsed.value }, json, io);
}

/** Also takes out what should not be there: a name that is no setting keeps Noctem from starting, and this is the way out. */
export function unsetSetting({ name, json }: Named, io: CommandIo): number {
  const layout = stickOf(io, undefined);
  const text = readSettingsText(layout);
  if (!text.ok) return refuse(text.error, io);
  const found = rawObject(text.value);
  if (found === null) {
    const broken = parseSettingsFile(text.value, layout.settings);
    return broken.ok ? ExitCode.DONE : refuse(broken.error, io);
  }
  if (!Object.hasOwn(found, name)) {
    if (settingNamed(name, io) === null) return ExitCode.USAGE;
    return done({ name, value: null }, json, io);
  }
  const { [name]: _, ...rest } = found;
  return write(`${JSON.stringify(rest, null, 2)}\n`, { name, value: null }, json, io);
}

export function settingsPath({ json }: JsonFlag, io: CommandIo): number {
  const { settings } = stickOf(io, undefined);
  io.out(json ? `${JSON.stringify({ path: settings })}\n` : `${settings}\n`);
  return ExitCode.DONE;
}

function write(text: string, change: { readonly name: string; readonly value: unknown }, json: boolean | undefined, io: CommandIo): number {
  const layout = stickOf(io, undefined);
  const written = replaceFile(layout.settings, text);
  if (!written.ok) return refuse(settingsFileError(layout.settings, written.error), io);
  // The name alone: a value may be a path of this host.
  noteInLog(layout, [{ kind: "config", name: change.name.slice(0, 200), action: change.value === null ? "unset" : "set" }], io);
  return done(change, json, io);
}

function done(change: { readonly name: string; readonly value: unknown }, json: boolean | undefined, io: CommandIo): number {
  if (json) io.out(`${JSON.stringify(change)}\n`);
  if (isSettingName(change.name) && (io.env[environmentName(change.name)] ?? "") !== "")
    io.err(`noctem: ${environmentName(change.name)} is set in the environment and goes before the file.\n`);
  return ExitCode.DONE;
}

function rawObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text.trim() === "" ? "{}" : text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function settingNamed(name: string, io: CommandIo): SettingName | null {
  if (isSettingName(name)) return name;
  refuse({ kind: "unknown-setting", where: "config", name, near: nearest(name, SETTING_NAMES) }, io);
  return null;
}

function refuse(error: SettingsError, io: CommandIo): number {
  const { text, code } = settingsErrorText(error);
  io.err(`noctem: ${text}\n`);
  return code;
}

const sourceName = (name: SettingName, origin: SettingsOrigin): string =>
  origin === "environment" ? environmentName(name) : origin === "file" ? "noctem.json" : origin;

const inWords = (value: string | number | boolean | null): string => {
  if (value === null) return "–";
  const text = String(value);
  return text.length > 32 || text.includes("\n") ? `${text.replaceAll("\n", " ").slice(0, 31)}…` : text === "" ? '""' : text;
};
