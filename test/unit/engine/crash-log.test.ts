import { expect, test } from "bun:test";
import { CrashLog } from "../../../src/engine/crash-log.ts";

function causeOf(text: string): string {
  const log = new CrashLog();
  for (const line of text.split("\n")) log.add(line);
  return log.cause();
}

test("of Bun's message about a crash, the panic is the cause, and nobody is asked to send a report", () => {
  const banner = [
    "============================================================",
    "Bun v1.4.5 (a7733435c) Linux x64",
    'Args: "noctem" "__engine"',
    "Features: Bun.stderr jsc",
    "panic(main thread): Segmentation fault at address 0x2D5E",
    "oh no: Bun has crashed. This indicates a bug in Bun, not your code.",
    "To send a redacted crash report to Bun's team,",
    "please file a GitHub issue using the link below:",
    "",
    " https://bun.report/1.4.5/abc",
  ];
  for (let cut = 5; cut <= banner.length; cut++)
    expect(causeOf(banner.slice(0, cut).join("\n"))).toBe("panic(main thread): Segmentation fault at address 0x2D5E");
});

test("what llama.cpp said last of a failure is the cause, without control characters", () => {
  expect(causeOf("load: fine\nGGML_ASSERT(x) failed\u001b[0m\n#0 0x00 in ???")).toBe("GGML_ASSERT(x) failed [0m");
  expect(causeOf("nothing telling")).toBe("nothing telling");
  expect(causeOf("")).toBe("");
});
