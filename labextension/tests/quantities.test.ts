// @vitest-environment node
import { expect, test } from "vitest";

import { ago, binarySize, decimalSize, duration, plural, took } from "../src/quantities";
import examples from "./examples.json";

type Examples = [number, string][];

test.each([
  ["sizes", decimalSize, examples.size],
  ["binary sizes", binarySize, examples.binary],
  ["spans of time", duration, examples.duration],
])("%s have the words of the command line", (_, words, pairs) => {
  for (const [value, text] of pairs as Examples) expect(words(value), String(value)).toBe(text);
});

test("what is in the future happens now", () => {
  expect(ago(100, 90)).toBe("Less than a second ago");
  expect(ago(100, 160)).toBe("About a minute ago");
});

test("numbers have their words", () => {
  expect([took(0.44), took(34), took(80)]).toEqual(["0.4 s", "34 s", "1 min 20 s"]);
  expect([plural(1, "step"), plural(2, "step")]).toEqual(["1 step", "2 steps"]);
});
