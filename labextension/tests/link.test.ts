import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { connect } from "../src/link";
import type { LogsFromView, LogsToView, Output, Who } from "../src/messages";

type Listener = (message: object, buffers: DataView[]) => void;

function opened() {
  const sent: object[] = [];
  let hear: Listener = () => undefined;
  const model = {
    send: (message: object) => sent.push(message),
    on: (_: string, listener: Listener) => {
      hear = listener;
    },
    off: () => {
      hear = () => undefined;
    },
  };
  const link = connect<LogsFromView, LogsToView>(model as never, document.createElement("div"));
  const heard: string[] = [];
  link.open((message) => heard.push(message.kind));
  return { link, sent, heard, tell: (message: object) => hear(message, []) };
}

const HELLO = { kind: "hello", title: "", state: "", running: true, closable: false };
const WHO: Who = { kind: "who" };
const OUTPUT: Output = { kind: "output" };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a view asks until it is greeted, and hears nothing before", () => {
  const { link, sent, heard, tell } = opened();
  tell(OUTPUT);
  vi.advanceTimersByTime(1000);
  expect(sent.length).toBeGreaterThan(2);
  expect(sent[0]).toEqual({ kind: "ready", view: link.id });
  tell({ ...HELLO, to: "another" });
  expect(heard).toEqual([]);
  tell({ ...HELLO, to: link.id });
  tell(OUTPUT);
  expect(heard).toEqual(["hello", "output"]);
  const asked = sent.length;
  vi.advanceTimersByTime(2000);
  expect(sent.length).toBe(asked);
});

test("a view says that it is there, and that it goes", () => {
  const { link, sent, tell } = opened();
  tell({ ...HELLO, to: link.id });
  tell(WHO);
  expect(sent.at(-1)).toEqual({ kind: "here", view: link.id });
  link.close();
  vi.advanceTimersByTime(1000);
  expect(sent.at(-1)).toEqual({ kind: "gone", view: link.id });
});
