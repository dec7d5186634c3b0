/**
 * The line between a view and its widget in the kernel: typed messages, and the view's life.
 *
 * A *view* is one place where a widget is shown; it has an id.  Life: `ready` is sent → the kernel
 * answers `hello` to that view with everything that it missed → messages flow → at its end the view
 * says `gone` (its notebook was closed) or `cleared` (the output was cleared or the cell removed).
 * Messages carry `kind`; one with `to` is for the view of that id only.
 */
import type { AnyModel } from "@anywidget/types";

export interface Message {
  kind: string;
  to?: string;
  [field: string]: unknown;
}

export type Receive = (message: Message, buffers: DataView[]) => void;

export interface Link {
  readonly id: string;
  send(kind: string, fields?: Record<string, unknown>, buffers?: ArrayBuffer[]): void;
  /** Begin: say `ready` and hand on what comes, from the kernel's answer on. */
  open(receive: Receive, fields?: Record<string, unknown>): void;
  /** Say that so many bytes more are drawn; few of them a moment later, out of the way of the next key. */
  acknowledge(bytes: number): void;
  close(): void;
}

const ACKNOWLEDGED_AT_ONCE = 32 * 1024;
const ACKNOWLEDGED_AFTER_MS = 200;
// The notebook that a view is in, as the front ends mark it.
const NOTEBOOK = ".jp-Notebook";

export function connect(model: AnyModel, el: HTMLElement): Link {
  const id = crypto.randomUUID?.() ?? String(Math.random());
  let notebook: Element | null = null;
  let greeted = false;
  let asking = 0;
  let drawn = 0;
  let saying = 0;
  let receiver: Receive = () => undefined;

  const send: Link["send"] = (kind, fields = {}, buffers = []) =>
    model.send({ kind, view: id, ...fields }, undefined, buffers);

  const sayDrawn = (): void => {
    clearTimeout(saying);
    saying = 0;
    send("ack", { bytes: drawn });
    drawn = 0;
  };

  const onMessage = (message: Message, buffers: DataView[]): void => {
    if (message.to !== undefined && message.to !== id) return;
    notebook ??= el.closest(NOTEBOOK);
    greeted ||= message.kind === "hello";
    if (greeted && message.kind === "who") send("here");
    else if (greeted) receiver(message, buffers ?? []);
  };

  return {
    id,
    send,
    open(receive, fields) {
      receiver = receive;
      model.on("msg:custom", onMessage);
      const ask = (): void => {
        if (greeted) clearInterval(asking);
        else send("ready", fields);
      };
      // The first message may land behind the cells that wait, until the front end has a line
      // beside them.
      asking = window.setInterval(ask, 400);
      ask();
      // The element enters the page a moment later.
      requestAnimationFrame(() => {
        notebook = el.closest(NOTEBOOK);
      });
    },
    acknowledge(bytes) {
      drawn += bytes;
      if (drawn >= ACKNOWLEDGED_AT_ONCE) sayDrawn();
      else saying ||= window.setTimeout(sayDrawn, ACKNOWLEDGED_AFTER_MS);
    },
    close() {
      clearInterval(asking);
      clearTimeout(saying);
      model.off("msg:custom", onMessage);
      // A notebook that is closed takes its views along and is out of the page then.
      setTimeout(() => {
        const cleared = notebook?.isConnected;
        try {
          send(cleared ? "cleared" : "gone");
        } catch {
          // The kernel has gone: nobody is left to tell.
        }
      }, 300);
    },
  };
}
