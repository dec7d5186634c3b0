/**
 * Communication with a kernel while it runs a cell.
 *
 * JupyterLab learns from a kernel's first answer whether it has subshells.  A page that was opened while a
 * cell runs gets that answer only after the cell and would have to wait: so it uses the control channel,
 * which ipykernel answers immediately, and creates its own subshell for its messages.
 */
import { type Kernel, KernelMessage } from "@jupyterlab/services";

import type { Wire } from "./client";
import type { Farewell } from "./protocol";

const PATIENCE_MS = 400;
const STARTING_MS = 3000;

/** A comm and its send function; the greeting opens it. */
export interface Connection extends Wire {
  readonly comm: Kernel.IComm;
  /** The kernel's thread that receives its messages, if it is a separate one. */
  readonly subshell: string | null;
  open(greeting: unknown): void;
  /** The kernel has closed it. */
  ended(): void;
}

/** Whether a kernel has comms of a target; uses the control channel if the shell does not answer. */
export async function hasComm(kernel: Kernel.IKernelConnection, target: string): Promise<boolean> {
  const shell = kernel.requestCommInfo({ target_name: target }).then(({ content }) => content as Info);
  const beside = after(PATIENCE_MS).then(() => ask(kernel, "comm_info_request", { target_name: target }));
  // Kernels of other kinds may not answer there, or with an error.
  const { status, comms } = await Promise.race([shell, beside.catch(() => shell)]);
  return status === "ok" && Object.keys(comms ?? {}).length > 0;
}

/** Open a connection whose messages are handled while cells run, if the kernel supports it. */
export async function makeConnection(kernel: Kernel.IKernelConnection, target: string): Promise<Connection> {
  const subshell = kernel.supportsSubshells ? null : await ownSubshell(kernel);
  const comm = kernel.createComm(target);
  if (subshell) return new SubshellConnection(kernel, comm, subshell);
  if (kernel.supportsSubshells) {
    // Messages sent before the subshell exists would wait behind the cells.
    const { subshellStarted } = comm as { subshellStarted?: Promise<void> };
    await Promise.race([subshellStarted, after(STARTING_MS)]).catch(() => undefined);
  }
  return new CommConnection(kernel, comm);
}

/** End a kernel's thread that is no longer used. */
export function endSubshell(kernel: Kernel.IKernelConnection, subshell: string): void {
  // The end of a kernel also ends its subshells.
  ask(kernel, "delete_subshell_request", { subshell_id: subshell }).catch(() => undefined);
}

interface Info {
  status: string;
  comms?: Record<string, unknown>;
  supported_features?: string[];
  subshell_id?: string;
}

function after(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

async function ask(kernel: Kernel.IKernelConnection, msgType: string, content: object): Promise<Info> {
  const message = made(kernel, "control", msgType, content);
  const reply = await kernel.sendControlMessage(message as KernelMessage.IControlMessage, true).done;
  return reply.content as unknown as Info;
}

function made(
  kernel: Kernel.IKernelConnection,
  channel: string,
  msgType: string,
  content: object,
  more: object = {},
): KernelMessage.IMessage {
  const options = { msgType, channel, username: kernel.username, session: kernel.clientId, content, ...more };
  return KernelMessage.createMessage(options as never);
}

/** Create a subshell if the kernel supports it but has not said so yet; otherwise return null. */
async function ownSubshell(kernel: Kernel.IKernelConnection): Promise<string | null> {
  // A kernel that has answered has declared that it has none.
  const answered = await Promise.race([kernel.info.then(() => true), after(PATIENCE_MS).then(() => false)]);
  if (answered) return null;
  const wait = after(STARTING_MS).then(() => null);
  const asked = async (): Promise<string | null> => {
    const info = await ask(kernel, "kernel_info_request", {});
    if (!info.supported_features?.includes("kernel subshells")) return null;
    return (await ask(kernel, "create_subshell_request", {})).subshell_id ?? null;
  };
  return Promise.race([asked().catch(() => null), wait]);
}

// The kernel closes the connection: JupyterLab would delete the subshell before the kernel has read that the comm is closed.
const FAREWELL: Farewell = { kind: "farewell" };

class CommConnection implements Connection {
  private opened = false;

  constructor(
    private readonly kernel: Kernel.IKernelConnection,
    readonly comm: Kernel.IComm,
  ) {}

  get subshell(): string | null {
    return (this.comm as { subshellId?: string | null }).subshellId ?? null;
  }

  open(greeting: unknown): void {
    this.opened = true;
    this.comm.open(greeting as never);
  }

  send(data: unknown, buffers: ArrayBuffer[] = []): void {
    this.comm.send(data as never, undefined, buffers);
  }

  close(): void {
    if (this.comm.isDisposed || this.kernel.isDisposed) return;
    if (this.opened) this.send(FAREWELL);
    else this.comm.dispose();
  }

  ended(): void {
    this.comm.dispose();
  }
}

/** A comm whose messages all name our subshell. */
class SubshellConnection implements Connection {
  private opened = false;

  constructor(
    private readonly kernel: Kernel.IKernelConnection,
    readonly comm: Kernel.IComm,
    readonly subshell: string,
  ) {}

  open(greeting: unknown): void {
    this.opened = true;
    this.say("comm_open", { target_name: this.comm.targetName, data: greeting });
  }

  send(data: unknown, buffers: ArrayBuffer[] = []): void {
    if (!this.comm.isDisposed) this.say("comm_msg", { data }, buffers);
  }

  close(): void {
    if (this.comm.isDisposed || this.kernel.isDisposed) return;
    if (this.opened) this.send(FAREWELL);
    else this.ended();
  }

  ended(): void {
    this.comm.dispose();
    if (this.kernel.isDisposed) return;
    endSubshell(this.kernel, this.subshell);
  }

  private say(msgType: string, content: object, buffers: ArrayBuffer[] = []): void {
    const message = made(
      this.kernel,
      "shell",
      msgType,
      { comm_id: this.comm.commId, ...content },
      { subshellId: this.subshell, buffers },
    );
    this.kernel.sendShellMessage(message as KernelMessage.IShellMessage, false, true);
  }
}
