import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { connect } from "../src/link";

interface Sent {
  kind: string;
  bytes?: number;
}

function opened(): { link: ReturnType<typeof connect>; acknowledged: () => number[] } {
  const sent: Sent[] = [];
  const model = { send: (message: Sent) => sent.push(message), on: () => undefined, off: () => undefined };
  const link = connect(model as never, document.createElement("div"));
  const acknowledged = (): number[] => sent.filter(({ kind }) => kind === "ack").map(({ bytes }) => bytes ?? 0);
  return { link, acknowledged };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("what was drawn of a few keys is said once, a moment later", () => {
  const { link, acknowledged } = opened();
  for (let key = 0; key < 5; key++) link.acknowledge(1);
  expect(acknowledged()).toEqual([]);
  vi.advanceTimersByTime(1000);
  expect(acknowledged()).toEqual([5]);
});

test("what was drawn of a flood is said at once", () => {
  const { link, acknowledged } = opened();
  link.acknowledge(1000);
  link.acknowledge(64 * 1024);
  expect(acknowledged()).toEqual([1000 + 64 * 1024]);
  vi.advanceTimersByTime(1000);
  expect(acknowledged()).toHaveLength(1);
});

test("nothing is said after the end", () => {
  const { link, acknowledged } = opened();
  link.acknowledge(1);
  link.close();
  vi.advanceTimersByTime(1000);
  expect(acknowledged()).toEqual([]);
});
