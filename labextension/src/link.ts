/**
 * The link between a view and its widget in the kernel: typed messages, and the view's lifecycle.
 *
 * A *view* is one place where a widget is shown; it has an ID.  Lifecycle: `ready` is sent → the kernel
 * answers `hello` to that view with everything so far → messages flow → at its end the view sends
 * `gone` (its notebook was closed) or `cleared` (the output was cleared or the cell removed).
 * A message with `to` is only for the view of that ID.
 */
import type { AnyModel } from "@anywidget/types";

import type { Life, Who } from "./messages";

/** A message in one direction, with a field that tells its kind. */
interface Kind {
  kind: string;
}

/** The messages for a widget's own code: all except those that the link answers. */
export type Heard<ToView extends Kind> = Exclude<ToView, Who>;

export interface Link<FromView extends Kind, ToView extends Kind> {
  readonly id: string;
  send(message: FromView, buffers?: ArrayBuffer[]): void;
  /** Send `ready` and pass on all messages from the kernel's answer on. */
  open(receive: (message: Heard<ToView>, buffers: DataView[]) => void): void;
  close(): void;
}

// The notebook that a view is in, as the front ends mark it.
const NOTEBOOK = ".jp-Notebook";

export function connect<FromView extends Kind, ToView extends Kind>(
  model: AnyModel,
  el: HTMLElement,
): Link<FromView, ToView> {
  const id = crypto.randomUUID?.() ?? String(Math.random());
  let notebook: Element | null = null;
  let greeted = false;
  let asking = 0;
  let receiver: (message: Heard<ToView>, buffers: DataView[]) => void = () => undefined;

  const send = (message: FromView | Life, buffers: ArrayBuffer[] = []): void =>
    model.send({ ...message, view: id }, undefined, buffers);

  const onMessage = (message: Kind & { to?: string }, buffers: DataView[]): void => {
    if (message.to !== undefined && message.to !== id) return;
    notebook ??= el.closest(NOTEBOOK);
    greeted ||= message.kind === "hello";
    if (greeted && message.kind === "who") send({ kind: "here" });
    else if (greeted) receiver(message as unknown as Heard<ToView>, buffers ?? []);
  };

  return {
    id,
    send,
    open(receive) {
      receiver = receive;
      model.on("msg:custom", onMessage);
      const ask = (): void => {
        if (greeted) clearInterval(asking);
        else send({ kind: "ready" });
      };
      // The first message may be queued behind waiting cells, until the front end has a
      // separate channel.
      asking = window.setInterval(ask, 400);
      ask();
      // The element is added to the page a moment later.
      requestAnimationFrame(() => {
        notebook = el.closest(NOTEBOOK);
      });
    },
    close() {
      clearInterval(asking);
      model.off("msg:custom", onMessage);
      // Closing a notebook also removes its views from the page.
      setTimeout(() => {
        const cleared = notebook?.isConnected;
        try {
          send({ kind: cleared ? "cleared" : "gone" });
        } catch {
          // The kernel has gone, so there is no receiver.
        }
      }, 300);
    },
  };
}
