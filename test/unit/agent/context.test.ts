import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { answerReserve, fitContext } from "../../../src/agent/context.ts";
import type { ChatMessage, MessageCosts } from "../../../src/engine/port.ts";

const chat = (...roles: ChatMessage["role"][]): ChatMessage[] => roles.map((role, index) => ({ role, text: `${role} ${index}` }));
const costs = (frame: number, ...messages: number[]): MessageCosts => ({ frame, messages });

/** A conversation as people have them: perhaps a system message, then turns of a question and at most a few answers. */
const conversation = fc
  .record({
    system: fc.boolean(),
    turns: fc.array(
      fc.record({ asked: fc.integer({ min: 1, max: 400 }), answered: fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 2 }) }),
      {
        minLength: 1,
        maxLength: 30,
      },
    ),
    frame: fc.integer({ min: 0, max: 20 }),
    contextSize: fc.integer({ min: 64, max: 4096 }),
    maxTokens: fc.option(fc.integer({ min: 1, max: 5000 })),
  })
  .map(({ system, turns, frame, contextSize, maxTokens }) => {
    const messages: ChatMessage[] = system ? [{ role: "system", text: "s" }] : [];
    const each: number[] = system ? [7] : [];
    turns.forEach((turn, index) => {
      messages.push({ role: "user", text: `q${index}` });
      each.push(turn.asked);
      if (index === turns.length - 1) return;
      for (const cost of turn.answered) {
        messages.push({ role: "assistant", text: `a${index}` });
        each.push(cost);
      }
    });
    return { messages, costs: { frame, messages: each }, contextSize, reserve: answerReserve(contextSize, maxTokens) };
  });

describe("fitContext", () => {
  test("keeps everything that fits", () => {
    const fitted = fitContext(chat("system", "user", "assistant", "user"), costs(3, 10, 20, 30, 5), 1000, 250);
    expect(fitted).toEqual({ kept: [0, 1, 2, 3], dropped: 0, promptTokens: 68 });
  });

  test("drops whole turns from the oldest on and keeps the system message", () => {
    const fitted = fitContext(chat("system", "user", "assistant", "user", "assistant", "user"), costs(0, 10, 40, 40, 40, 40, 10), 160, 30);
    expect(fitted).toEqual({ kept: [0, 3, 4, 5], dropped: 2, promptTokens: 100 });
  });

  test("gives the numbers when the last message alone is too long", () => {
    expect(fitContext(chat("user", "user"), costs(2, 10, 990), 1000, 250)).toEqual({
      kind: "prompt-too-long",
      promptTokens: 992,
      contextSize: 1000,
    });
  });

  test("what is kept fits, begins with a person's words, ends with the last message, and counts right", () => {
    fc.assert(
      fc.property(conversation, ({ messages, costs, contextSize, reserve }) => {
        const fitted = fitContext(messages, costs, contextSize, reserve);
        const total = (indexes: readonly number[]) => indexes.reduce((sum, index) => sum + (costs.messages[index] ?? NaN), costs.frame);
        if ("kind" in fitted) {
          expect(fitted.promptTokens).toBeGreaterThan(contextSize - 16);
          return;
        }
        expect(fitted.promptTokens).toBe(total(fitted.kept));
        expect(fitted.promptTokens).toBeLessThan(contextSize);
        expect(fitted.kept.at(-1)).toBe(messages.length - 1);
        expect(fitted.kept.length + fitted.dropped).toBe(messages.length);
        const system = messages[0]?.role === "system" ? 1 : 0;
        if (system === 1) expect(fitted.kept[0]).toBe(0);
        expect(messages[fitted.kept[system] ?? -1]?.role).toBe("user");
      }),
      { numRuns: 500 },
    );
  });

  test("the cut moves seldom: a conversation that grows by small turns is not cut anew at each", () => {
    const cuts = new Set<number>();
    for (let turns = 1; turns <= 200; turns++) {
      const messages = chat(
        ...Array.from({ length: 2 * turns - 1 }, (_, index) => (index % 2 ? "assistant" : "user") as ChatMessage["role"]),
      );
      const fitted = fitContext(messages, costs(0, ...messages.map(() => 20)), 2048, 512);
      if (!("kind" in fitted)) cuts.add(fitted.dropped);
    }
    // 7,960 tokens pass through; cutting at each turn would make more than 150 different cuts.
    expect(cuts.size).toBeLessThan(40);
  });
});
