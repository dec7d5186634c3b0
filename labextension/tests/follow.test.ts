import { Signal } from "@lumino/signaling";
import { beforeEach, expect, test, vi } from "vitest";

import { VERSION } from "../src/lab/protocol";

vi.mock("@jupyterlab/services", () => ({
  KernelMessage: { createMessage: ({ msgType, channel, content }: any) => ({ msgType, channel, content }) },
}));

const { Follower } = await import("../src/lab/follow");
const soon = (): Promise<void> => new Promise((done) => setTimeout(done, 20));
const LEFT = "jupyter-containers:left";

/** A kernel that has loaded the extension, or will when it is asked and its cell has ended. */
class Kernel {
  status = "idle";
  isDisposed = false;
  supportsSubshells = true;
  info = Promise.resolve({});
  said: any[] = [];
  beacon: () => void = () => undefined;
  end: (reply: unknown) => void = () => undefined;
  fail: () => void = () => undefined;
  made = 0;

  constructor(public loaded: boolean) {}

  registerCommTarget(_: string, heard: () => void): void {
    this.beacon = heard;
  }
  removeCommTarget(): void {}
  requestCommInfo = () => Promise.resolve({ content: { status: "ok", comms: this.loaded ? { one: {} } : {} } });
  requestExecute = () => ({
    done: new Promise((resolve, reject) => {
      this.end = resolve;
      this.fail = () => reject(new Error("Canceled"));
    }),
  });
  createComm = () => ({
    commId: `line-${++this.made}`,
    subshellId: `thread-${this.made}`,
    isDisposed: false,
    subshellStarted: Promise.resolve(),
    open: (data: unknown) => this.said.push(data),
    send: (data: unknown) => this.said.push(data),
    dispose() {
      this.isDisposed = true;
    },
  });
  sendControlMessage = ({ msgType, content }: any) => {
    this.said.push([msgType, content]);
    return { done: Promise.resolve({ content: { status: "ok" } }) };
  };
}

function follow(kernel: Kernel) {
  const context = {} as any;
  Object.assign(context, {
    session: { kernel },
    kernelChanged: new Signal(context),
    statusChanged: new Signal(context),
  });
  const panel = { sessionContext: context, isDisposed: false } as any;
  panel.disposed = new Signal(panel);
  const tracker = { currentWidget: panel } as any;
  tracker.currentChanged = new Signal(tracker);
  return { follower: new Follower(tracker), context };
}

beforeEach(() => sessionStorage.clear());

test.each([
  ["idle", "loading"],
  ["busy", "waiting"],
])("a kernel that is %s: %s until it has answered", async (status, loading) => {
  const kernel = new Kernel(false);
  const { follower } = follow(kernel);
  await soon();
  expect([follower.place, follower.loading]).toEqual(["unloaded", ""]);
  kernel.status = status;
  const heard = vi.fn();
  follower.changed.connect(heard);
  const done = follower.load();
  expect([follower.loading, heard.mock.calls.length]).toEqual([loading, 1]);
  kernel.end({ content: { status: "error", ename: "ImportError", evalue: "none" } });
  expect(await done).toBe("ImportError: none");
  expect([follower.loading, heard.mock.calls.length]).toEqual(["", 2]);
});

test("a kernel that is restarted meanwhile has nothing to load any more", async () => {
  const kernel = new Kernel(false);
  const { follower, context } = follow(kernel);
  await soon();
  kernel.status = "busy";
  const done = follower.load();
  context.statusChanged.emit("restarting");
  expect(follower.loading).toBe("");
  kernel.fail();
  expect(await done).toBe("");
});

test("what a page that crashed has left is told and ended by the next one in its tab", async () => {
  const first = new Kernel(true);
  follow(first);
  await soon();
  expect(first.said).toEqual([{ versions: [VERSION], left: [] }]);
  // No "pagehide": it crashed.
  const second = new Kernel(true);
  const { follower, context } = follow(second);
  await soon();
  expect(second.said).toEqual([
    { versions: [VERSION], left: ["line-1"] },
    ["delete_subshell_request", { subshell_id: "thread-1" }],
  ]);
  // A line that is closed in good order is nobody's business later.
  context.statusChanged.emit("dead");
  expect([follower.place, sessionStorage.getItem(LEFT)]).toEqual(["no-kernel", null]);
});
