/** Views of the main area: logs, terminal and layers (the widgets of outputs), inspect, files. */

import type { AnyModel, RenderProps } from "@anywidget/types";
import { MainAreaWidget } from "@jupyterlab/apputils";
import { Widget } from "@lumino/widgets";

import { addStyle, child } from "../frame";
import layers from "../widgets/layers";
import logs from "../widgets/logs";
import terminal from "../widgets/terminal";
import type { Client } from "./client";
import { containerIcon } from "./icons";
import css from "./lab.css";
import type { ViewKind } from "./protocol";

type Render = (props: RenderProps) => () => void;
type Listener = (content: Record<string, unknown>, buffers: DataView[]) => void;

const RENDER: Record<ViewKind, Render> = {
  layers: layers.render,
  logs: logs.render,
  project_logs: logs.render,
  terminal: terminal.render,
};
const TITLES: Record<ViewKind, string> = {
  layers: "Layers of",
  logs: "Log of",
  project_logs: "Log of",
  terminal: "Terminal in",
};

/** Content of the main area; its first focusable element gets the focus. */
export class Content extends Widget {
  protected override onActivateRequest(): void {
    const places = ["textarea.xterm-helper-textarea", '[tabindex="0"]', "input", "button"];
    for (const place of places) {
      const found = this.node.querySelector<HTMLElement>(place);
      if (found) {
        found.focus();
        return;
      }
    }
  }
}

/** Return content as a widget of the main area. */
export function asMain(content: Widget, id: string, title: string): MainAreaWidget {
  addStyle(content.node, css);
  content.addClass("jc-lab-main");
  const widget = new MainAreaWidget({ content });
  widget.id = id;
  widget.title.label = title;
  widget.title.icon = containerIcon;
  widget.title.closable = true;
  widget.toolbar.hide();
  return widget;
}

/** Open a view on the connection, drawn by the same code as below a cell. */
export async function openView(client: Client, view: ViewKind, name: string): Promise<MainAreaWidget> {
  const { channel, title } = await client.call({ do: "open_view", view, name });
  const listeners = new Set<Listener>();
  const model = {
    send: (content: Record<string, unknown>, _: unknown, buffers: ArrayBuffer[] = []) =>
      client.sayToView(channel, content, buffers),
    on: (_: string, listener: Listener) => listeners.add(listener),
    off: (_: string, listener: Listener) => listeners.delete(listener),
  } as unknown as AnyModel;
  const content = new Content();
  const widget = asMain(content, `jupyter-containers-${view}-${channel}-${name}`, `${TITLES[view]} ${title}`);
  const end = RENDER[view]({ model, el: content.node } as unknown as RenderProps);
  client.takeView(
    channel,
    (said, buffers) => {
      for (const listener of [...listeners]) listener(said, buffers);
    },
    () => {
      // The content stays; there are no more messages.
      child(content.node, "div", "jc-lab-notice", "The connection to the kernel has ended.").setAttribute(
        "role",
        "status",
      );
    },
  );
  widget.disposed.connect(() => {
    end();
    client.closeView(channel);
  });
  return widget;
}

/** Show a JSON document as a tree that unfolds, with a search. */
export function openInspect(name: string, document: unknown): MainAreaWidget {
  const content = new Content();
  const bar = child(content.node, "div", "jc-lab-main-bar");
  child(bar, "strong", "", name);
  const search = child(bar, "input", "jc-lab-filter");
  search.type = "search";
  search.placeholder = "Search";
  search.setAttribute("aria-label", "Search keys and values");
  const copy = child(bar, "button", "jc-lab-tool", "Copy");
  copy.type = "button";
  copy.title = "Copy the whole document";
  copy.addEventListener("click", () => void navigator.clipboard?.writeText(JSON.stringify(document, null, 2)));
  const scroll = child(content.node, "div", "jc-lab-main-scroll jc-lab-json");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", `Document of ${name}`);
  const draw = (): void => {
    scroll.replaceChildren();
    drawValue(scroll, "", document, search.value.toLowerCase(), 0);
  };
  search.addEventListener("input", draw);
  draw();
  return asMain(content, `jupyter-containers-inspect-${name}`, `Inspect ${name}`);
}

function contains(key: string, value: unknown, words: string): boolean {
  if (key.toLowerCase().includes(words)) return true;
  if (value === null || typeof value !== "object") return String(value).toLowerCase().includes(words);
  return Object.entries(value).some(([inner, below]) => contains(inner, below, words));
}

function drawValue(parent: Element, key: string, value: unknown, words: string, depth: number): void {
  if (words && !contains(key, value, words)) return;
  const hit = (text: string): string => (words && text.toLowerCase().includes(words) ? " jc-lab-hit" : "");
  if (value === null || typeof value !== "object") {
    const line = child(parent, "div", "jc-lab-leaf");
    if (key) child(line, "span", `jc-lab-key${hit(key)}`, key);
    if (key) line.append(": ");
    const text = JSON.stringify(value);
    child(line, "span", `${typeof value === "string" ? "jc-lab-string" : "jc-lab-atom"}${hit(text)}`, text);
    return;
  }
  const entries = Object.entries(value);
  const count = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  if (!key) {
    for (const [inner, below] of entries) drawValue(parent, inner, below, words, depth + 1);
    return;
  }
  if (!entries.length) {
    const line = child(parent, "div", "jc-lab-leaf");
    child(line, "span", `jc-lab-key${hit(key)}`, key);
    line.append(Array.isArray(value) ? ": []" : ": {}");
    return;
  }
  const box = child(parent, "details");
  const head = child(box, "summary");
  child(head, "span", `jc-lab-key${hit(key)}`, key);
  head.append(` ${count}`);
  // Folded parts are drawn when they are opened, since documents have thousands of values.
  let drawn = false;
  const fill = (): void => {
    if (drawn) return;
    drawn = true;
    const inside = key.toLowerCase().includes(words) ? "" : words;
    for (const [inner, below] of entries) drawValue(box, inner, below, inside, depth + 1);
  };
  box.addEventListener("toggle", fill);
  if (words || (depth < 2 && entries.length <= 12)) {
    fill();
    box.open = true;
  }
}
