import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { Ack } from "../src/messages";
import { Acknowledger } from "../src/screen";

vi.mock("@xterm/xterm", () => ({ Terminal: class {} }));
vi.mock("@xterm/addon-fit", () => ({ FitAddon: class {} }));

function opened(): { acknowledger: Acknowledger; acknowledged: () => number[] } {
  const sent: Ack[] = [];
  const acknowledger = new Acknowledger((message) => sent.push(message));
  return { acknowledger, acknowledged: () => sent.map(({ bytes }) => bytes) };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("what was drawn of a few keys is said once, a moment later", () => {
  const { acknowledger, acknowledged } = opened();
  for (let key = 0; key < 5; key++) acknowledger.add(1);
  expect(acknowledged()).toEqual([]);
  vi.advanceTimersByTime(1000);
  expect(acknowledged()).toEqual([5]);
});

test("what was drawn of a flood is said at once", () => {
  const { acknowledger, acknowledged } = opened();
  acknowledger.add(1000);
  acknowledger.add(64 * 1024);
  expect(acknowledged()).toEqual([1000 + 64 * 1024]);
  vi.advanceTimersByTime(1000);
  expect(acknowledged()).toHaveLength(1);
});

test("nothing is said after the end", () => {
  const { acknowledger, acknowledged } = opened();
  acknowledger.add(1);
  acknowledger.stop();
  vi.advanceTimersByTime(1000);
  expect(acknowledged()).toEqual([]);
});
