/**
 * The line of the current notebook: opened when its kernel has the extension, again after a restart,
 * another when the reader goes to another notebook.
 *
 * The kernel opens a *beacon* (a comm) when the extension is loaded; a page that comes later finds
 * it among the kernel's comms.  So no kernel is asked for what it does not have.
 */
import type { ISessionContext } from "@jupyterlab/apputils";
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import type { Kernel } from "@jupyterlab/services";
import { type ISignal, Signal } from "@lumino/signaling";

import { hasComm, makeLine } from "./beside";
import { Client } from "./client";
import type { FromKernel } from "./protocol";

const TARGET = "jupyter_containers.panel";
const BEACON = "jupyter_containers.beacon";
const AGAIN_MS = [200, 1000, 5000];

/**
 * Where we are: no notebook is open; its kernel is not there (yet) or answers nothing because it
 * runs a cell; it has not loaded the extension; there is a line (`client` says in which state).
 */
export type Place = "no-notebook" | "no-kernel" | "waiting" | "unloaded" | "line";

export class Follower {
  place: Place = "no-notebook";
  client: Client | null = null;
  notebook: NotebookPanel | null = null;
  /** Whether Dockerfiles are checked while they are written (a setting). */
  checks = true;
  private kernel: Kernel.IKernelConnection | null = null;
  // Every new kernel, restart or notebook makes what is still under way for the old one void.
  private round = 0;
  private failures = 0;
  private line = "";
  private readonly changedSignal = new Signal<Follower, void>(this);

  constructor(tracker: INotebookTracker) {
    tracker.currentChanged.connect(() => this.setNotebook(tracker.currentWidget));
    this.setNotebook(tracker.currentWidget);
    // Its kernel would tell a page that was left or reloaded for ever what happens.
    window.addEventListener("pagehide", () => {
      if (this.line) rememberLeft(this.line);
      this.drop("waiting");
    });
  }

  /** Place, client or the client's state are different. */
  get changed(): ISignal<Follower, void> {
    return this.changedSignal;
  }

  /** Have the kernel load the extension, without a trace in the notebook. */
  async load(): Promise<string> {
    const kernel = this.kernel;
    if (!kernel) return "there is no kernel";
    const done = await kernel.requestExecute({ code: "%load_ext jupyter_containers", silent: true, store_history: false }).done;
    const { content } = done;
    if (content.status === "ok") return "";
    return "evalue" in content ? `${content.ename}: ${content.evalue}` : "the kernel was interrupted";
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
    this.line = "";
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
        // The kernel has gone or was restarted meanwhile; its status says how it goes on.
        if (round === this.round) this.drop("no-kernel");
      });
  }

  private async connect(): Promise<void> {
    const { kernel } = this;
    if (!kernel || kernel.isDisposed) return;
    this.drop("line");
    const round = this.round;
    const line = await makeLine(kernel, TARGET);
    if (round !== this.round) {
      line.close();
      return;
    }
    const client = new Client(line);
    this.client = client;
    this.line = line.comm.commId;
    client.stateChanged.connect(() => this.changedSignal.emit());
    line.comm.onMsg = (message) =>
      client.receive(message.content.data as unknown as FromKernel, (message.buffers ?? []).map(view));
    line.comm.onClose = () => {
      line.ended();
      client.lost();
      if (client.state !== "refused" && round === this.round) this.again();
    };
    this.changedSignal.emit();
    line.open(Client.hello(takeLeft()));
  }

  /** The kernel has closed the line: its configuration changed, or the extension was unloaded. */
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

// Of a page that goes nothing more may reach the kernel: the next page in the same tab tells it.
const LEFT = "jupyter-containers:left";

function rememberLeft(line: string): void {
  sessionStorage.setItem(LEFT, line);
}

function takeLeft(): string[] {
  const line = sessionStorage.getItem(LEFT);
  sessionStorage.removeItem(LEFT);
  return line ? [line] : [];
}

function view(buffer: ArrayBuffer | ArrayBufferView): DataView {
  return buffer instanceof ArrayBuffer ? new DataView(buffer) : new DataView(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength);
}
