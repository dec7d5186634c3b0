/**
 * The connection of the current notebook: opened when its kernel has the extension, reopened after a
 * restart, and replaced when the user switches to another notebook.
 *
 * The kernel opens a *beacon* (a comm) when the extension is loaded; a later page finds it among the
 * kernel's comms.  So kernels without the extension get no requests for it.
 */
import type { ISessionContext } from "@jupyterlab/apputils";
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import type { Kernel } from "@jupyterlab/services";
import { type ISignal, Signal } from "@lumino/signaling";

import { BEACON, TARGET } from "../facts";
import { Client } from "./client";
import type { FromKernel } from "./protocol";
import { endSubshell, hasComm, makeConnection } from "./subshell";

const AGAIN_MS = [200, 1000, 5000];

/**
 * The state: no notebook is open; its kernel does not exist (yet), or does not answer because it runs
 * a cell; it has not loaded the extension; there is a connection (`client` has its state).
 */
export type Place = "no-notebook" | "no-kernel" | "waiting" | "unloaded" | "connection";

/** An idle kernel loads it in less time. */
const SLOW_MS = 2000;

/** Not loading; loading; will load after the running cell. */
export type Loading = "" | "loading" | "waiting";

export class Follower {
  place: Place = "no-notebook";
  client: Client | null = null;
  notebook: NotebookPanel | null = null;
  /** Whether Dockerfiles are checked during editing (a setting). */
  checks = true;
  private kernel: Kernel.IKernelConnection | null = null;
  // A new kernel, a restart or another notebook invalidates pending work for the old one.
  private round = 0;
  private failures = 0;
  private loadingState: Loading = "";
  /** Remember this page's connection for the next page. */
  private remembered = false;
  private readonly changedSignal = new Signal<Follower, void>(this);

  constructor(tracker: INotebookTracker) {
    tracker.currentChanged.connect(() => this.setNotebook(tracker.currentWidget));
    this.setNotebook(tracker.currentWidget);
    // Otherwise the kernel would send changes to a closed or reloaded page for ever.
    window.addEventListener("pagehide", () => {
      const left = this.remembered ? takeLeft() : null;
      this.drop("waiting");
      if (left) rememberLeft(left);
    });
  }

  /** Place, client or the client's state have changed. */
  get changed(): ISignal<Follower, void> {
    return this.changedSignal;
  }

  /** Whether the extension is being loaded, or waits for a cell to end. */
  get loading(): Loading {
    return this.loadingState;
  }

  /** Load the extension in the kernel without a trace in the notebook; return an error, if any. */
  async load(): Promise<string> {
    const { kernel, round } = this;
    if (!kernel) return "there is no kernel";
    this.loadingState = kernel.status === "idle" ? "loading" : "waiting";
    this.changedSignal.emit();
    // A cell may just have been sent, before the kernel has reported that it is busy.
    const slow = setTimeout(() => {
      if (round !== this.round) return;
      this.loadingState = "waiting";
      this.changedSignal.emit();
    }, SLOW_MS);
    try {
      const done = await kernel.requestExecute({
        code: "%load_ext jupyter_containers",
        silent: true,
        store_history: false,
      }).done;
      const { content } = done;
      if (content.status === "ok") return "";
      return "evalue" in content ? `${content.ename}: ${content.evalue}` : "the kernel was interrupted";
    } catch {
      return ""; // it was restarted or has gone: what it says next is another question
    } finally {
      clearTimeout(slow);
      if (round === this.round) {
        this.loadingState = "";
        this.changedSignal.emit();
      }
    }
  }

  private setNotebook(panel: NotebookPanel | null): void {
    if (panel === this.notebook) return;
    if (this.notebook && !this.notebook.isDisposed) this.forget(this.notebook.sessionContext);
    this.notebook = panel;
    if (panel) {
      const context = panel.sessionContext;
      context.kernelChanged.connect(this.onKernel, this);
      context.statusChanged.connect(this.onStatus, this);
      panel.disposed.connect(() => {
        if (this.notebook === panel) this.setNotebook(null);
      });
    }
    this.setKernel(panel?.sessionContext.session?.kernel ?? null);
  }

  private forget(context: ISessionContext): void {
    context.kernelChanged.disconnect(this.onKernel, this);
    context.statusChanged.disconnect(this.onStatus, this);
  }

  private onKernel(context: ISessionContext): void {
    this.setKernel(context.session?.kernel ?? null);
  }

  private onStatus(_: ISessionContext, status: Kernel.Status): void {
    if (status === "restarting" || status === "autorestarting") this.begin();
    else if (status === "dead" || status === "terminating") this.drop("no-kernel");
    else if (status === "idle" && this.place === "no-kernel") this.begin();
  }

  private setKernel(kernel: Kernel.IKernelConnection | null): void {
    if (this.kernel && !this.kernel.isDisposed) this.kernel.removeCommTarget(BEACON, this.onBeacon);
    this.kernel = kernel;
    kernel?.registerCommTarget(BEACON, this.onBeacon);
    this.failures = 0;
    this.begin();
  }

  private readonly onBeacon = (): void => {
    this.failures = 0;
    void this.connect();
  };

  private drop(place: Place): void {
    this.round++;
    this.client?.close();
    this.client = null;
    this.loadingState = "";
    if (this.remembered) takeLeft();
    this.remembered = false;
    this.place = place;
    this.changedSignal.emit();
  }

  /** Find out whether the kernel has the extension. */
  private begin(): void {
    this.drop(!this.notebook ? "no-notebook" : this.kernel ? "waiting" : "no-kernel");
    const { kernel, round } = this;
    if (!kernel) return;
    hasComm(kernel, BEACON)
      .then((loaded) => {
        if (round !== this.round) return;
        if (loaded) return this.connect();
        this.place = "unloaded";
        this.changedSignal.emit();
        return undefined;
      })
      .catch(() => {
        // The kernel has ended or restarted in the meantime; its status decides what follows.
        if (round === this.round) this.drop("no-kernel");
      });
  }

  private async connect(): Promise<void> {
    const { kernel } = this;
    if (!kernel || kernel.isDisposed) return;
    this.drop("connection");
    const round = this.round;
    const connection = await makeConnection(kernel, TARGET);
    if (round !== this.round) {
      connection.close();
      return;
    }
    const client = new Client(connection);
    this.client = client;
    client.stateChanged.connect(() => this.changedSignal.emit());
    connection.comm.onMsg = (message) =>
      client.receive(message.content.data as unknown as FromKernel, (message.buffers ?? []).map(view));
    connection.comm.onClose = () => {
      connection.ended();
      client.lost();
      if (client.state !== "refused" && round === this.round) this.again();
    };
    this.changedSignal.emit();
    const left = takeLeft();
    connection.open(Client.hello(left ? [left.connection] : []));
    if (left?.subshell) endSubshell(kernel, left.subshell);
    rememberLeft({ connection: connection.comm.commId, subshell: connection.subshell });
    this.remembered = true;
  }

  /** The kernel has closed the connection: its configuration changed, or the extension was unloaded. */
  private again(): void {
    const pause = AGAIN_MS[this.failures++];
    const round = this.round;
    this.changedSignal.emit();
    if (pause === undefined) return;
    setTimeout(() => {
      if (round === this.round) this.begin();
    }, pause);
  }
}

// A closing page's last messages may not reach the kernel, and a crashed page sends none: the next page
// in the same tab reports the connection that was open, and ends the kernel's thread for it.
const LEFT = "jupyter-containers:left";

interface Left {
  connection: string;
  subshell: string | null;
}

function rememberLeft(left: Left): void {
  sessionStorage.setItem(LEFT, JSON.stringify(left));
}

function takeLeft(): Left | null {
  const found = sessionStorage.getItem(LEFT);
  sessionStorage.removeItem(LEFT);
  return found ? (JSON.parse(found) as Left) : null;
}

function view(buffer: ArrayBuffer | ArrayBufferView): DataView {
  return buffer instanceof ArrayBuffer
    ? new DataView(buffer)
    : new DataView(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength);
}
