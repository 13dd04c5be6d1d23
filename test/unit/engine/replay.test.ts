import { describe, expect, test } from "bun:test";
import type { GenerateChunk, GenerateRequest } from "../../../src/engine/port.ts";
import { parseTranscript, recordEngine, replayEngine, type Transcript, TranscriptMismatch } from "../../../src/engine/replay.ts";
import { NEVER } from "../../support/engine.ts";
import { saying, ScriptedEngine } from "../../support/scripted-engine.ts";

const request = (text: string, some: Partial<GenerateRequest> = {}): GenerateRequest => ({
  model: "model-1",
  messages: [{ role: "user", text }],
  maxTokens: 10,
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  seed: 3,
  jsonSchema: null,
  cacheKey: "k",
  ...some,
});
const ignore = (): void => undefined;

async function recorded(): Promise<Transcript> {
  const recorder = recordEngine(new ScriptedEngine(saying("Hello there, you.")));
  await recorder.load({ path: "/m", contextSize: 10, gpu: "off", threads: null, template: null }, ignore, NEVER);
  await recorder.generate(request("one"), ignore, NEVER);
  await recorder.generate(request("two"), ignore, NEVER);
  const transcript = recorder.transcript();
  if (!transcript) throw new Error("nothing recorded");
  return transcript;
}

describe("replay", () => {
  test("a recording plays back what was said, through a file", async () => {
    const parsed = parseTranscript(JSON.stringify(await recorded()));
    if (!parsed.ok) throw new Error(parsed.error);
    const engine = replayEngine(parsed.value);
    for (const words of ["one", "two"]) {
      const chunks: GenerateChunk[] = [];
      const outcome = await engine.generate(request(words), (chunk) => chunks.push(chunk), NEVER);
      expect(outcome).toMatchObject({ ok: true, value: { stop: "end" } });
      expect(chunks.map((chunk) => (chunk.type === "text" ? chunk.text : "")).join("")).toBe("Hello there, you.");
    }
    engine.assertDone();
  });

  test("another message, parameter or order fails at once, and again at the end", async () => {
    const transcript = await recorded();
    for (const [wrong, part] of [
      [request("two"), "message 1"],
      [request("one", { messages: [...request("one").messages, { role: "assistant", text: "x" }] }), "message 2"],
      [request("one", { temperature: 0.5 }), "temperature"],
      [request("one", { seed: 4 }), "seed"],
      [request("one", { maxTokens: null }), "maxTokens"],
    ] as const) {
      const engine = replayEngine(transcript);
      expect(engine.generate(wrong, ignore, NEVER)).rejects.toThrow(part);
      expect(() => engine.assertDone()).toThrow(TranscriptMismatch);
    }
  });

  test("a leftover fails, and so does one too many", async () => {
    const engine = replayEngine(await recorded());
    await engine.generate(request("one"), ignore, NEVER);
    expect(() => engine.assertDone()).toThrow("1 recorded turn was never asked for");
    await engine.generate(request("two"), ignore, NEVER);
    engine.assertDone();
    expect(engine.generate(request("three"), ignore, NEVER)).rejects.toThrow("not in the transcript");
  });

  test("a cancel ends the playback", async () => {
    const engine = replayEngine(await recorded());
    const controller = new AbortController();
    const outcome = await engine.generate(request("one"), ({ type }) => type === "text" && controller.abort(), controller.signal);
    expect(outcome).toMatchObject({ ok: true, value: { stop: "cancelled" } });
  });

  test("a file that is no transcript is refused with its place", () => {
    expect(parseTranscript("{")).toMatchObject({ ok: false });
    expect(parseTranscript('{"turns":[]}')).toMatchObject({ ok: false, error: expect.stringContaining("model") });
  });
});
