/**
 * The layers of an image: a line each, its files below as a tree that unfolds.
 *
 * From the kernel: `hello` (the layers without files), `entries` (one folder of one layer), `found`
 * (how many files of each layer a search meets).  To it: `open` with `layer`, `path`, `sort`,
 * `words` and `first`; `search` with `words`.  A folder's entries are fetched when it is opened.
 */
import type { RenderProps } from "@anywidget/types";

import { bytes } from "../chart";
import { addStyle, button, child, makeFrame } from "../frame";
import { connect } from "../link";

interface Layer {
  number: number;
  words: string;
  size: number;
  wasted: number;
  added: number;
  changed: number;
  removed: number;
}

interface Entry {
  name: string;
  path: string;
  kind: string;
  folder: boolean;
  size: number;
  hidden: number;
}

interface Place {
  list: HTMLElement;
  asked: boolean;
}

const SIGNS: Record<string, string> = { added: "+", changed: "~", removed: "−" };
const KINDS = ["added", "changed", "removed"] as const;
const STYLE = `
.jc-layers { max-height: 460px; overflow: auto; }
.jc-layer { border-top: 1px solid var(--jp-border-color3, rgba(128,128,128,.2)); }
.jc-layer:first-child { border-top: 0; }
.jc-layers summary { cursor: pointer; }
.jc-layer > summary { display: flex; align-items: baseline; gap: 8px; padding: 4px 8px; }
.jc-layer > summary::before, .jc-entries summary::before { content: "▸"; display: inline-block; width: 1em; flex: none;
  color: var(--jp-ui-font-color2, inherit); }
.jc-layer[open] > summary::before, .jc-entries details[open] > summary::before { content: "▾"; }
.jc-layers summary:focus-visible { outline: 2px solid var(--jp-brand-color1, #3b78d8); outline-offset: -2px; }
.jc-layers summary::-webkit-details-marker { display: none; }
.jc-layers summary { list-style: none; }
.jc-bytes { min-width: 5em; text-align: right; font-variant-numeric: tabular-nums; flex: none; }
.jc-share { width: 70px; height: 8px; flex: none; background: var(--jp-layout-color3, rgba(128,128,128,.25)); display: flex; }
.jc-share > * { display: block; height: 8px; background: var(--jp-brand-color1, #1976d2); }
.jc-share > .jc-lost { background: var(--jp-warn-color1, #d9822b); }
.jc-words { flex: 1 1 auto; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  font-family: var(--jp-code-font-family, monospace); font-size: 12px; }
.jc-layer[open] > summary > .jc-words { white-space: pre-wrap; overflow-wrap: anywhere; }
.jc-counts { white-space: nowrap; font-variant-numeric: tabular-nums; flex: none; }
.jc-counts > * { margin-left: 6px; }
.jc-lostbytes { white-space: nowrap; flex: none; color: var(--jp-warn-color0, #a86200); }
.jc-added { color: var(--jp-success-color0, #1b7a3d); }
.jc-changed { color: var(--jp-warn-color0, #a86200); }
.jc-removed { color: var(--jp-error-color1, #c62f2f); }
.jc-entries { font-family: var(--jp-code-font-family, monospace); font-size: 12px; line-height: 1.6; padding-left: 16px; }
.jc-layer > .jc-entries { padding: 0 8px 6px 24px; }
.jc-entry { padding-left: 1em; }
.jc-entries .jc-bytes { display: inline; min-width: 0; margin-left: 8px; color: var(--jp-ui-font-color2, inherit); }
.jc-name { white-space: pre-wrap; overflow-wrap: anywhere; }
.jc-facts { font-variant-numeric: tabular-nums; }
`;

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addStyle(el, STYLE);
  const link = connect(model, el);
  let sort = "name";
  let words = "";
  let layers: Layer[] = [];
  const places = new Map<string, Place>();
  const rows = new Map<number, HTMLDetailsElement>();

  const field = child(frame.bar, "input", "jc-input");
  field.type = "search";
  field.placeholder = "Search files";
  field.setAttribute("aria-label", "Search the files of all layers");
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      words = field.value.trim();
      draw();
      if (words) link.send("search", { words });
    }, 200);
  });
  const order = frame.button("Largest first", "Sort by size instead of by name", () => {
    sort = sort === "size" ? "name" : "size";
    order.setAttribute("aria-pressed", String(sort === "size"));
    refill();
  });
  order.setAttribute("aria-pressed", "false");
  const scroll = child(frame.body, "div", "jc-layers");

  function fetch(layer: number, path: string, first = 0): void {
    link.send("open", { layer, path, sort, words, first });
  }

  function unfold(layer: number, path: string, list: HTMLElement, details: HTMLDetailsElement): void {
    const key = `${layer}:${path}`;
    places.set(key, { list, asked: false });
    details.addEventListener("toggle", () => {
      const place = places.get(key);
      if (!details.open || !place || place.asked) return;
      place.asked = true;
      fetch(layer, path);
    });
  }

  /** Fetch again what is open: the order has changed. */
  function refill(): void {
    for (const [number, row] of rows) {
      const list = row.querySelector<HTMLElement>(":scope > .jc-entries")!;
      forget(number);
      list.replaceChildren();
      places.set(`${number}:`, { list, asked: row.open });
      if (row.open) fetch(number, "");
    }
  }

  function forget(number: number): void {
    for (const key of [...places.keys()]) if (key.startsWith(`${number}:`)) places.delete(key);
  }

  function draw(): void {
    scroll.replaceChildren();
    places.clear();
    rows.clear();
    const largest = Math.max(1, ...layers.map((layer) => layer.size));
    for (const layer of layers) {
      const row = child(scroll, "details", "jc-layer");
      row.dataset.layer = String(layer.number);
      const head = child(row, "summary");
      child(head, "span", "", String(layer.number));
      const share = child(head, "span", "jc-share");
      const used = Math.max(layer.size - layer.wasted, 0);
      child(share, "span").style.width = `${(100 * used) / largest}%`;
      child(share, "span", "jc-lost").style.width = `${(100 * Math.min(layer.wasted, layer.size)) / largest}%`;
      child(head, "span", "jc-bytes", bytes(layer.size));
      const text = child(head, "span", "jc-words", layer.words || "(no instruction)");
      text.title = layer.words;
      if (layer.wasted) child(head, "span", "jc-lostbytes", `${bytes(layer.wasted)} wasted`);
      const counts = child(head, "span", "jc-counts");
      for (const kind of KINDS) {
        if (!layer[kind]) continue;
        const count = child(counts, "span", `jc-${kind}`, `${SIGNS[kind]}${layer[kind]}`);
        count.title = `${layer[kind]} files ${kind}`;
      }
      const list = child(row, "div", "jc-entries");
      unfold(layer.number, "", list, row);
      rows.set(layer.number, row);
    }
  }

  function fill(layer: number, path: string, entries: Entry[], first: number, total: number): void {
    const place = places.get(`${layer}:${path}`);
    if (!place) return;
    const { list } = place;
    if (first === 0) list.replaceChildren();
    list.querySelector(":scope > .jc-button")?.remove();
    if (!total) child(list, "div", "jc-entry", words ? "nothing of this name" : "no files");
    for (const entry of entries) {
      const title = entry.kind ? `${SIGNS[entry.kind]} ${entry.name}` : entry.name;
      const inside = entry.folder && entry.kind !== "removed";
      const details = inside ? child(list, "details") : null;
      const line = details ? child(details, "summary") : child(list, "div", "jc-entry");
      child(line, "span", `jc-name jc-${entry.kind || "none"}`, entry.folder ? `${title}/` : title);
      if (entry.size) child(line, "span", "jc-bytes", bytes(entry.size));
      if (entry.hidden) child(line, "span", "jc-bytes jc-removed", `−${bytes(entry.hidden)}`);
      if (details) {
        unfold(layer, entry.path, child(details, "div", "jc-entries"), details);
        // A search shows what it has met; a folder that is alone shows what is in it.
        if (entries.length === 1 && total === 1) details.open = true;
        else if (words && total <= 20) details.open = true;
      }
    }
    const shown = first + entries.length;
    if (shown < total) button(list, `${total - shown} more`, "Show more", () => fetch(layer, path, shown));
  }

  function wastedPaths(paths: { path: string; size: number; layers: number }[], total: number): void {
    if (!paths.length) return;
    const box = child(frame.body, "details", "jc-layer jc-waste");
    child(child(box, "summary"), "span", "", `wasted: ${total} path${total === 1 ? "" : "s"}`);
    const list = child(box, "div", "jc-entries");
    for (const item of paths) {
      const line = child(list, "div", "jc-entry");
      child(line, "span", "jc-name", item.path);
      child(line, "span", "jc-bytes", `${bytes(item.size)} in ${item.layers} layers`);
    }
    if (paths.length < total) child(list, "div", "jc-entry", `… and ${total - paths.length} more`);
  }

  link.open((message) => {
    if (message.kind === "hello") {
      layers = (message.layers ?? []) as Layer[];
      frame.setTitle(String(message.name ?? ""));
      const efficiency = (100 * Number(message.efficiency)).toFixed(2);
      frame.setState(
        `${bytes(Number(message.size))}, efficiency ${efficiency} %, wasted ${bytes(Number(message.wasted))}`,
      );
      draw();
      frame.body.querySelector(".jc-waste")?.remove();
      wastedPaths((message.paths ?? []) as never[], Number(message.wasted_paths));
    } else if (message.kind === "entries" && message.words === words) {
      const { layer, path, entries, first, total } = message as never as {
        layer: number;
        path: string;
        entries: Entry[];
        first: number;
        total: number;
      };
      fill(layer, path, entries, first, total);
    } else if (message.kind === "found" && message.words === words) {
      for (const [number, count] of Object.entries(message.layers as Record<string, number>)) {
        const row = rows.get(Number(number));
        if (!row) continue;
        row.hidden = count === 0;
        const counts = row.querySelector(".jc-counts")!;
        counts.textContent = `${count} found`;
        row.open = count > 0;
      }
    }
  });
  return () => {
    clearTimeout(timer);
    link.close();
  };
}

export default { render };
