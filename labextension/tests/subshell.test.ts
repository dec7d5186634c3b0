import { expect, test, vi } from "vitest";

vi.mock("@jupyterlab/services", () => ({
  KernelMessage: {
    createMessage: ({ msgType, channel, subshellId, content, buffers }: any) => ({
      msgType,
      channel,
      subshellId,
      content,
      buffers,
    }),
  },
}));

const { hasComm, makeConnection } = await import("../src/lab/subshell");

/** A kernel whose shell answers when `free` says so; its control channel answers at once. */
function kernel({ free, features = ["kernel subshells"] }: { free: boolean; features?: string[] }) {
  const said: any[] = [];
  const never = new Promise<never>(() => undefined);
  const replies: Record<string, object> = {
    kernel_info_request: { status: "ok", supported_features: features },
    create_subshell_request: { status: "ok", subshell_id: "mine" },
    delete_subshell_request: { status: "ok" },
    comm_info_request: { status: "ok", comms: { one: {} } },
  };
  const comm = {
    commId: "c",
    targetName: "target",
    isDisposed: false,
    subshellStarted: Promise.resolve(),
    open: (data: unknown) => said.push(["open", data]),
    send: (data: unknown) => said.push(["send", data]),
    close: () => said.push(["close"]),
    dispose() {
      this.isDisposed = true;
    },
  };
  return {
    said,
    isDisposed: false,
    username: "me",
    clientId: "id",
    info: free ? Promise.resolve({}) : never,
    supportsSubshells: free && features.length > 0,
    requestCommInfo: () => (free ? Promise.resolve({ content: { status: "ok", comms: {} } }) : never),
    createComm: () => comm,
    sendControlMessage: (message: any) => {
      said.push([message.channel, message.msgType]);
      return { done: Promise.resolve({ content: replies[message.msgType] }) };
    },
    sendShellMessage: (message: any) =>
      said.push([message.channel, message.msgType, message.subshellId, message.content]),
  };
}

test("a kernel that is free is asked and spoken to as JupyterLab does", async () => {
  const free = kernel({ free: true });
  expect(await hasComm(free as any, "target")).toBe(false);
  const line = await makeConnection(free as any, "target");
  line.open({ versions: [1] });
  line.send({ a: 1 });
  line.close();
  expect(free.said).toEqual([
    ["open", { versions: [1] }],
    ["send", { a: 1 }],
    ["send", { kind: "farewell" }],
  ]);
});

test("a kernel that runs a cell is asked by the control channel, in a subshell of the page's own", async () => {
  const busy = kernel({ free: false });
  expect(await hasComm(busy as any, "target")).toBe(true);
  const line = await makeConnection(busy as any, "target");
  line.open({ versions: [1] });
  line.send({ a: 1 });
  line.close();
  line.ended();
  line.send({ late: 1 });
  expect(busy.said).toEqual([
    ["control", "comm_info_request"],
    ["control", "kernel_info_request"],
    ["control", "create_subshell_request"],
    ["shell", "comm_open", "mine", { comm_id: "c", target_name: "target", data: { versions: [1] } }],
    ["shell", "comm_msg", "mine", { comm_id: "c", data: { a: 1 } }],
    ["shell", "comm_msg", "mine", { comm_id: "c", data: { kind: "farewell" } }],
    ["control", "delete_subshell_request"],
  ]);
});

test("a busy kernel without subshells is spoken to on its shell", async () => {
  const old = kernel({ free: false, features: [] });
  const line = await makeConnection(old as any, "target");
  line.open({});
  expect(old.said).toEqual([
    ["control", "kernel_info_request"],
    ["open", {}],
  ]);
});
