/** Names that are no UTF-8 in a workspace: what is secret below them is covered, byte for byte, and nothing else is refused for it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { linkSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { judgePath } from "../../src/bark/policy/judge.ts";
import { workspaceReader } from "../../src/platform/skills/reader.ts";
import { fileOps } from "../../src/skills/file-ops.ts";
import { BarkRoom } from "../support/bark.ts";
import { NO_CAGE } from "../support/cage.ts";
import { must } from "../support/heart.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;
const SECRET = "the secret";

let bark: BarkRoom;
const at = (...parts: readonly (string | number)[]): Buffer =>
  Buffer.concat([
    Buffer.from(`${bark.workspace}/`),
    ...parts.flatMap((part) => (typeof part === "number" ? [Buffer.of(part)] : [Buffer.from(part)])),
  ]);
const put = (text: string, ...parts: readonly (string | number)[]): void => writeFileSync(at(...parts), text);

beforeEach(() => {
  bark = new BarkRoom();
  for (const byte of [0xff, 0xfe]) {
    mkdirSync(at(byte));
    mkdirSync(at(byte, "/sub"));
    mkdirSync(at(byte, "/sub/.ssh"));
    put(SECRET, byte, "/.env");
    put(SECRET, byte, "/sub/.ssh/id_rsa");
    put("a plain file", byte, "/plain.txt");
  }
  mkdirSync(at("text"));
  put(SECRET, "text/", 0xfd, ".pem");
  put("another plain file", "text/", 0xfd, ".txt");
  // Another name of a secret that is no text itself.
  put(SECRET, ".env");
  linkSync(join(bark.workspace, ".env"), at("text/", 0xfc));
});
afterEach(() => bark[Symbol.dispose]());

describe.skipIf(NO_CAGE !== null)(`names that are no text${why}`, () => {
  test("a listed command runs, and finds every secret covered", async () => {
    const { status, text } = await bark.shell("grep -rh e .");
    // What is covered cannot be opened, which grep says; the run was not refused for it.
    expect(status).not.toBe("denied");
    expect(text).toContain("a plain file");
    expect(text).toContain("another plain file");
    expect(text).not.toContain(SECRET);
  });

  test("and so does a program that may write, in what it left as well", async () => {
    const { status, text } = await bark.bash("find . -type f -exec cat {} +; touch made; ls -a text", "allowed");
    expect(status).toBe("done");
    expect(text).toContain("a plain file");
    expect(text).not.toContain(SECRET);
    expect(bark.questions[0]?.prepared.effect.kind).toBe("process");
  });

  test("a search shows no line of one, by whatever name", async () => {
    const reader = workspaceReader(bark.workspace, () => bark.room.folder);
    const skill = fileOps(() => reader, bark.policy);
    const prepared = must(
      await skill.prepare({ operation: "search", text: "e" }, { workspace: bark.workspace, signal: new AbortController().signal }),
    );
    const { text } = await bark.call("file_ops", prepared);
    expect(text).toContain("a plain file");
    expect(text).not.toContain(SECRET);
  });
});

test("each secret is found with its own bytes, and no name stands for two", () => {
  const reader = workspaceReader(bark.workspace, () => bark.room.folder);
  const found = reader.secrets((path) => judgePath(bark.policy, "read", path).outcome !== "allow") ?? [];
  const bytes = found.map(({ path, raw }) => raw ?? Buffer.from(path).toString("hex"));
  const wanted = [
    ...[0xff, 0xfe].flatMap((byte) => [at(byte, "/.env"), at(byte, "/sub/.ssh")]),
    at("text/", 0xfd, ".pem"),
    at("text/", 0xfc),
    at(".env"),
  ].map((path) => path.toString("hex"));
  expect([...bytes].sort()).toEqual([...wanted].sort());
});
