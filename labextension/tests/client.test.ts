import { beforeEach, expect, test, vi } from "vitest";

import { type CallError, Client } from "../src/lab/client";
import type { FromKernel } from "../src/lab/protocol";

let sent: any[];
let client: Client;

beforeEach(() => {
  sent = [];
  client = new Client({ send: (data) => sent.push(data), close: () => sent.push("closed") });
});

function open(): void {
  client.receive({ kind: "welcome", version: 1, engine: "0.1", store: "/store" });
}

const volume = (id: string, containers: string[] = []) => ({
  id,
  driver: "local",
  mountpoint: "",
  created: 1,
  containers,
});

test("answers find their calls by number, in any order", async () => {
  open();
  const first = client.call({ do: "inspect", what: "image", name: "a" });
  const second = client.call({ do: "inspect", what: "image", name: "b" });
  expect(sent.map((item) => [item.kind, item.id, item.call.name])).toEqual([
    ["request", 1, "a"],
    ["request", 2, "b"],
  ]);
  client.receive({ kind: "answer", id: 2, value: "B" });
  client.receive({ kind: "answer", id: 1, value: "A" });
  client.receive({ kind: "answer", id: 1, value: "again" });
  expect(await Promise.all([first, second])).toEqual(["A", "B"]);
});

test("failures are errors with a hint, progress is handed on", async () => {
  open();
  const said: string[] = [];
  const call = client.call({ do: "command", line: "pull x" }, (text) => said.push(text));
  client.receive({ kind: "progress", id: 1, text: "layer 1" });
  client.receive({ kind: "failure", id: 1, trouble: { name: "DeniedError", message: "no", hint: "log in" } });
  const error = (await call.catch((failure) => failure)) as CallError;
  expect([error.name, error.text, said]).toEqual(["DeniedError", "no (log in)", ["layer 1"]]);
});

test("buffers go along both ways", async () => {
  open();
  const done = client.exchange({ do: "download", container: "c", path: "/x" });
  client.receive({ kind: "answer", id: 1, value: { name: "x" } }, [new DataView(new ArrayBuffer(3))]);
  const { value, buffers } = await done;
  expect([value.name, buffers[0]!.byteLength]).toEqual(["x", 3]);
});

test("items are put, changed and gone; a whole section takes the place of the old", () => {
  open();
  const heard: string[] = [];
  client.changed.connect((_, section) => heard.push(section));
  const tell = (put: any[], gone: string[] = [], whole = false): void =>
    client.receive({ kind: "changes", section: "volumes", put, gone, whole });
  expect(client.known.has("volumes")).toBe(false);
  tell([volume("a"), volume("b")], [], true);
  tell([volume("b", ["web"]), volume("c")], ["a"]);
  expect(client.list("volumes").map((item) => [item.id, item.containers.length])).toEqual([
    ["b", 1],
    ["c", 0],
  ]);
  tell([], [], true);
  expect(client.list("volumes")).toEqual([]);
  client.receive({ kind: "used", usage: [{ id: "x", cpu: 1, memory: 2, memory_limit: 0 }] });
  expect(heard).toEqual(["volumes", "volumes", "volumes", "usage"]);
  expect(client.usage.get("x")?.memory).toBe(2);
});

test("what a newer kernel tells beside is let be", () => {
  open();
  client.receive({ kind: "changes", section: "pods" as never, put: [{ id: "x" }], gone: [], whole: true });
  client.receive({ kind: "weather" } as unknown as FromKernel);
  expect(client.state).toBe("open");
});

test("a refusal keeps the kernel's words, also after the wire has gone", async () => {
  client.receive({ kind: "refused", trouble: { name: "ProtocolError", message: "version 9", hint: "upgrade" } });
  client.lost();
  expect([client.state, client.trouble?.message]).toEqual(["refused", "version 9"]);
  await expect(client.call({ do: "watch", visible: true })).rejects.toThrow("version 9");
});

test("a wire that goes fails what is under way and ends the views", async () => {
  open();
  const ended = vi.fn();
  client.takeView(4, () => undefined, ended);
  const call = client.call({ do: "watch", visible: true });
  client.lost();
  client.lost();
  await expect(call).rejects.toThrow("the kernel has gone");
  expect(ended).toHaveBeenCalledOnce();
  await expect(client.call({ do: "watch", visible: true })).rejects.toThrow();
  expect(sent.length).toBe(1);
});

test("a view gets what its widget said before the page has taken the channel", () => {
  open();
  client.receive({ kind: "from_view", channel: 2, content: { kind: "hello" } });
  const heard: unknown[] = [];
  const ended = vi.fn();
  client.takeView(2, (content) => heard.push(content.kind), ended);
  client.receive({ kind: "from_view", channel: 2, content: { kind: "output" } });
  client.receive({ kind: "from_view", channel: 3, content: { kind: "stranger" } });
  client.sayToView(2, { kind: "ready" });
  expect(heard).toEqual(["hello", "output"]);
  expect(sent.at(-1)).toEqual({ kind: "to_view", channel: 2, content: { kind: "ready" } });
  client.lost();
  expect(ended).toHaveBeenCalledOnce();
});
