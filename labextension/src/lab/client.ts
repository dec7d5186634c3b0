/**
 * The page's end of a connection to a kernel's engine: calls with answers, items that stay current.
 *
 * A client lives as long as its wire: `opening` → `open` (items arrive) → `closed`, or `refused` with
 * the kernel's message.  Pending calls fail when the wire closes.
 */
import { type ISignal, Signal } from "@lumino/signaling";

import {
  type Call,
  type FromKernel,
  type Hello,
  type Items,
  type Returns,
  type Section,
  type Trouble,
  type Usage,
  VERSION,
} from "./protocol";

/** The carrier of messages: a comm in the page, a fake in the tests. */
export interface Wire {
  send(data: unknown, buffers?: ArrayBuffer[]): void;
  close(): void;
}

export type State = "opening" | "open" | "refused" | "closed";
export type Name = Call["do"];
export type CallOf<K extends Name> = Extract<Call, { do: K }>;
export type ViewMessage = (content: Record<string, unknown>, buffers: DataView[]) => void;

/** A failure sent by the kernel: one line, and possibly a hint. */
export class CallError extends Error {
  constructor(readonly trouble: Trouble) {
    super(trouble.message);
    this.name = trouble.name;
  }

  /** The line with its hint. */
  get text(): string {
    return this.trouble.hint ? `${this.message} (${this.trouble.hint})` : this.message;
  }
}

interface Pending {
  resolve(value: unknown, buffers: DataView[]): void;
  reject(error: CallError): void;
  progress: ((text: string) => void) | undefined;
}

const SECTIONS: Section[] = ["containers", "images", "volumes", "networks", "builds", "registries"];
const LOST: Trouble = { name: "ConnectionClosed", message: "the kernel has gone", hint: "" };

export class Client {
  state: State = "opening";
  trouble: Trouble | null = null;
  engine = "";
  store = "";
  /** Sections whose items have arrived. */
  readonly known = new Set<Section>();
  readonly usage = new Map<string, Usage>();
  takesUsage = true;
  private readonly items = new Map<Section, Map<string, { id: string }>>(SECTIONS.map((name) => [name, new Map()]));
  private readonly pending = new Map<number, Pending>();
  private readonly views = new Map<number, { message: ViewMessage; ended: () => void }>();
  // Messages of a view's widget from before its page subscribed to the channel.
  private readonly early = new Map<number, [Record<string, unknown>, DataView[]][]>();
  private number = 0;
  private readonly changedSignal = new Signal<Client, Section | "usage">(this);
  private readonly stateSignal = new Signal<Client, State>(this);

  constructor(private readonly wire: Wire) {}

  /** A section's items or the usage of containers have changed. */
  get changed(): ISignal<Client, Section | "usage"> {
    return this.changedSignal;
  }

  get stateChanged(): ISignal<Client, State> {
    return this.stateSignal;
  }

  /** The first message of a page. */
  static hello(left: string[] = []): Hello {
    return { versions: [VERSION], left };
  }

  list<S extends Section>(section: S): Items[S][] {
    return [...this.items.get(section)!.values()] as unknown as Items[S][];
  }

  get<S extends Section>(section: S, id: string): Items[S] | undefined {
    return this.items.get(section)!.get(id) as unknown as Items[S] | undefined;
  }

  /** Call the kernel; rejects with a `CallError`. */
  async call<K extends Name>(call: CallOf<K>, progress?: (text: string) => void): Promise<Returns[K]> {
    return (await this.exchange(call, [], progress)).value;
  }

  /** The same, with buffers in both directions. */
  exchange<K extends Name>(
    call: CallOf<K>,
    buffers: ArrayBuffer[] = [],
    progress?: (text: string) => void,
  ): Promise<{ value: Returns[K]; buffers: DataView[] }> {
    return new Promise((resolve, reject) => {
      if (this.state !== "open") {
        reject(new CallError(this.trouble ?? LOST));
        return;
      }
      const id = ++this.number;
      const take = (value: unknown, back: DataView[]): void => resolve({ value: value as Returns[K], buffers: back });
      this.pending.set(id, { resolve: take, reject, progress });
      this.wire.send({ kind: "request", id, call }, buffers);
    });
  }

  /** Subscribe to the messages of an opened view. */
  takeView(channel: number, message: ViewMessage, ended: () => void): void {
    this.views.set(channel, { message, ended });
    for (const [content, buffers] of this.early.get(channel) ?? []) message(content, buffers);
    this.early.delete(channel);
  }

  sayToView(channel: number, content: Record<string, unknown>, buffers: ArrayBuffer[] = []): void {
    if (this.state === "open") this.wire.send({ kind: "to_view", channel, content }, buffers);
  }

  closeView(channel: number): void {
    this.views.delete(channel);
    // The end of a connection also ends its views.
    if (this.state === "open") void this.call({ do: "close_view", channel }).catch(() => undefined);
  }

  /** Handle a message of the kernel. */
  receive(said: FromKernel, buffers: DataView[] = []): void {
    switch (said.kind) {
      case "welcome":
        this.engine = said.engine;
        this.store = said.store;
        this.become("open");
        break;
      case "refused":
        this.trouble = said.trouble;
        this.become("refused");
        break;
      case "answer":
        this.settle(said.id)?.resolve(said.value, buffers);
        break;
      case "failure":
        this.settle(said.id)?.reject(new CallError(said.trouble));
        break;
      case "progress":
        this.pending.get(said.id)?.progress?.(said.text);
        break;
      case "changes":
        this.change(said.section, said.put, said.gone, said.whole);
        break;
      case "used":
        if (!this.takesUsage) break; // it was on its way when it was no longer wanted
        this.usage.clear();
        for (const usage of said.usage) this.usage.set(usage.id, usage);
        this.changedSignal.emit("usage");
        break;
      case "from_view": {
        const view = this.views.get(said.channel);
        if (view) view.message(said.content, buffers);
        else this.early.set(said.channel, [...(this.early.get(said.channel) ?? []), [said.content, buffers]]);
        break;
      }
    }
  }

  /** The wire has closed. */
  lost(): void {
    if (this.state === "closed") return;
    if (this.state !== "refused") this.become("closed");
    for (const { reject } of this.pending.values()) reject(new CallError(LOST));
    this.pending.clear();
    for (const view of this.views.values()) view.ended();
    this.views.clear();
  }

  close(): void {
    this.wire.close();
    this.lost();
  }

  private become(state: State): void {
    this.state = state;
    this.stateSignal.emit(state);
  }

  private settle(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    return pending;
  }

  private change(section: Section, put: { id: string }[], gone: string[], whole: boolean): void {
    const items = this.items.get(section);
    if (!items) return; // a newer kernel's section
    if (whole) items.clear();
    for (const id of gone) items.delete(id);
    for (const item of put) items.set(item.id, item);
    this.known.add(section);
    this.changedSignal.emit(section);
  }
}
