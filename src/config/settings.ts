import { isAbsolute } from "node:path";
import * as v from "valibot";
import { type TextPlace, jsonErrorPlace } from "../lib/json-text.ts";
import { nearest } from "../lib/nearest.ts";
import { err, ok, type Result } from "../lib/result.ts";

/**
 * Everything that can be set, once: the name is the flag (`--max-tokens`), the key in `noctem.json` and, upper-cased, the
 * environment variable (`NOCTEM_MAX_TOKENS`).
 */
interface SettingSpec<S extends v.GenericSchema> {
  readonly schema: S;
  readonly fallback: v.InferOutput<S> | null;
  readonly describe: string;
  /** Completes "NAME wants …". */
  readonly wants: string;
  /** A path or a name with a path in it: on the stick it has to be relative to the stick. */
  readonly path?: true;
}

const spec = <S extends v.GenericSchema, F extends v.InferOutput<S> | null>(
  given: SettingSpec<S> & { readonly fallback: F },
): SettingSpec<S> & { readonly fallback: F } => given;
const whole = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
const within = (min: number, max: number) => v.pipe(v.number(), v.minValue(min), v.maxValue(max));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));

export const MAX_CONTEXT = 16 * 1024 * 1024;
export const MAX_THREADS = 1024;

export const SETTINGS = {
  model: spec({
    schema: name,
    fallback: null,
    path: true,
    wants: "a model's name or a path",
    describe: "model for both tiers; unset chooses by what fits",
  }),
  context: spec({
    schema: whole(128, MAX_CONTEXT),
    fallback: null,
    wants: "a whole number of at least 128",
    describe: "context in tokens; unset takes what fits",
  }),
  threads: spec({
    schema: whole(1, MAX_THREADS),
    fallback: null,
    wants: "a whole number of at least 1",
    describe: "threads; unset measures what is fastest here",
  }),
  gpu: spec({ schema: v.picklist(["auto", "off"]), fallback: "auto", wants: "auto or off", describe: "use a GPU where one is usable" }),
  system: spec({
    schema: v.pipe(v.string(), v.maxLength(64 * 1024)),
    fallback: null,
    wants: "a text",
    describe: "system prompt; an empty one sends none",
  }),
  temperature: spec({ schema: within(0, 5), fallback: 0.7, wants: "a number from 0 to 5", describe: "0 always takes the likeliest word" }),
  "top-p": spec({
    schema: within(0, 1),
    fallback: 0.95,
    wants: "a number from 0 to 1",
    describe: "sample from the likeliest words that make up this share",
  }),
  "top-k": spec({
    schema: whole(0, 1000),
    fallback: 40,
    wants: "a whole number from 0 to 1000",
    describe: "sample from this many words; 0 from all",
  }),
  "min-p": spec({
    schema: within(0, 1),
    fallback: 0.05,
    wants: "a number from 0 to 1",
    describe: "leave out words less likely than this share of the likeliest",
  }),
  "max-tokens": spec({
    schema: whole(1, MAX_CONTEXT),
    fallback: null,
    wants: "a whole number of at least 1",
    describe: "tokens per answer; unset ends with the context",
  }),
  seed: spec({
    schema: whole(0, 2 ** 31 - 1),
    fallback: null,
    wants: "a whole number from 0 to 2147483647",
    describe: "replays an answer; unset draws a fresh one each time",
  }),
  store: spec({ schema: v.boolean(), fallback: true, wants: "true or false", describe: "keep conversations in the heart" }),
  thinking: spec({
    schema: v.picklist(["hide", "stderr"]),
    fallback: "hide",
    wants: "hide or stderr",
    describe: "where reasoning goes in pipes",
  }),
  stdin: spec({
    schema: v.picklist(["auto", "wait", "none"]),
    fallback: "auto",
    wants: "auto, wait or none",
    describe: "auto gives up on a silent standard input after 30 s",
  }),
  workspace: spec({
    schema: name,
    fallback: null,
    path: true,
    wants: "a folder",
    describe: "where files are read and written; unset is the current folder",
  }),
  theme: spec({
    schema: v.picklist(["auto", "dark", "light", "none"]),
    fallback: "auto",
    wants: "auto, dark, light or none",
    describe: "colours of the chat",
  }),
} as const;

export type SettingName = keyof typeof SETTINGS;
export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** What one source says: settings it does not name are absent. */
export type Settings = { readonly [K in SettingName]?: v.InferOutput<(typeof SETTINGS)[K]["schema"]> };

type Fallback<K extends SettingName> = (typeof SETTINGS)[K]["fallback"] extends null ? null : never;
/** After all sources were asked; null where no source says anything and there is no default. */
export type ResolvedSettings = { readonly [K in SettingName]: v.InferOutput<(typeof SETTINGS)[K]["schema"]> | Fallback<K> };

export type SettingsOrigin = "flag" | "environment" | "file" | "default";

export type SettingsError =
  | ({ readonly kind: "not-json"; readonly file: string } & TextPlace)
  | { readonly kind: "not-an-object"; readonly file: string }
  | { readonly kind: "unknown-setting"; readonly where: string; readonly name: string; readonly near: string | null }
  /** `where` is the flag, the variable or the file; `wants` completes "NAME wants …". */
  | { readonly kind: "bad-setting"; readonly where: string; readonly name: string; readonly wants: string; readonly found: string }
  /** `noctem.json` travels with the stick; a path of one host would not. */
  | { readonly kind: "host-path"; readonly where: string; readonly name: string; readonly found: string }
  | { readonly kind: "unreadable"; readonly file: string; readonly detail: string }
  | { readonly kind: "read-only"; readonly file: string }
  | { readonly kind: "full"; readonly file: string }
  | { readonly kind: "io"; readonly file: string; readonly detail: string };

export const isSettingName = (text: string): text is SettingName => Object.hasOwn(SETTINGS, text);
export const environmentName = (setting: SettingName): string => `NOCTEM_${setting.toUpperCase().replaceAll("-", "_")}`;

/** `noctem.json`. `file` is its path, for the error. An empty file is an empty object: it is what `>` leaves behind. */
export function parseSettingsFile(text: string, file: string): Result<Settings, SettingsError> {
  const source = text.replace(/^\ufeff/u, "");
  if (source.trim() === "") return ok({});
  const place = jsonErrorPlace(source);
  if (place) return err({ kind: "not-json", file, ...place });
  const value: unknown = JSON.parse(source);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return err({ kind: "not-an-object", file });
  const settings: Record<string, unknown> = {};
  for (const [key, found] of Object.entries(value)) {
    const checked = checkSetting(key, found, file);
    if (!checked.ok) return checked;
    if (SETTINGS[checked.value].path && isAbsolute(String(found)))
      return err({ kind: "host-path", where: file, name: key, found: String(found) });
    settings[key] = found;
  }
  return ok(settings);
}

/** The `NOCTEM_…` variables. Empty ones count as unset, and variables that are no settings are none of our business. */
export function parseEnvironment(env: Readonly<Record<string, string | undefined>>): Result<Settings, SettingsError> {
  const settings: Record<string, unknown> = {};
  for (const setting of SETTING_NAMES) {
    const variable = environmentName(setting);
    const text = env[variable];
    if (text === undefined || text === "") continue;
    const parsed = parseSettingText(setting, text, variable);
    if (!parsed.ok) return parsed;
    settings[setting] = parsed.value;
  }
  return ok(settings);
}

/** A value as a person types it: numbers and switches are words here. */
export function parseSettingText(setting: string, text: string, where: string): Result<unknown, SettingsError> {
  const known = isSettingName(setting);
  const value = known ? fromText(setting, text) : text;
  const checked = checkSetting(setting, value, where);
  return checked.ok ? ok(value) : checked;
}

/** Flags are checked by the command line; their names are the settings' names. */
export function flagSettings(args: Readonly<Record<string, unknown>>): Result<Settings, SettingsError> {
  const settings: Record<string, unknown> = {};
  for (const setting of SETTING_NAMES) {
    const value = args[setting];
    if (value === undefined) continue;
    const checked = checkSetting(setting, value, `--${setting}`);
    if (!checked.ok) return checked;
    settings[setting] = value;
  }
  return ok(settings);
}

export interface SettingsSources {
  readonly flag: Settings;
  readonly environment: Settings;
  readonly file: Settings;
}

/** A flag beats the environment beats the file beats the default. */
export function resolveSettings(sources: SettingsSources): {
  readonly settings: ResolvedSettings;
  readonly origins: Readonly<Record<SettingName, SettingsOrigin>>;
} {
  const settings: Record<string, unknown> = {};
  const origins: Partial<Record<SettingName, SettingsOrigin>> = {};
  for (const setting of SETTING_NAMES) {
    const origin = (["flag", "environment", "file"] as const).find((source) => sources[source][setting] !== undefined) ?? "default";
    origins[setting] = origin;
    settings[setting] = origin === "default" ? SETTINGS[setting].fallback : sources[origin][setting];
  }
  return { settings: settings as ResolvedSettings, origins: origins as Record<SettingName, SettingsOrigin> };
}

/** The file's text with one setting changed, or taken out where `value` is undefined. Other keys keep their order. */
export function withSetting(settings: Settings, setting: SettingName, value: unknown): string {
  const changed: Record<string, unknown> = { ...settings };
  if (value === undefined) delete changed[setting];
  else changed[setting] = value;
  return `${JSON.stringify(changed, null, 2)}\n`;
}

function checkSetting(setting: string, value: unknown, where: string): Result<SettingName, SettingsError> {
  if (!isSettingName(setting)) return err({ kind: "unknown-setting", where, name: setting, near: nearest(setting, SETTING_NAMES) });
  const { schema, wants } = SETTINGS[setting];
  if (v.safeParse(schema, value).success) return ok(setting);
  return err({ kind: "bad-setting", where, name: setting, wants, found: shown(value) });
}

function fromText(setting: SettingName, text: string): unknown {
  const { schema } = SETTINGS[setting];
  if (schema.type === "boolean") return text === "true" || text === "1" ? true : text === "false" || text === "0" ? false : text;
  return schema.type === "number" && text.trim() !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
}

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};
