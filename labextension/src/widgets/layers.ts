/**
 * The layers of an image: a line for each, with its files below as a folding tree.
 *
 * A folder's entries are fetched when it is opened.
 */
import type { RenderProps } from "@anywidget/types";

import { addStyle, button, child, makeFrame } from "../frame";
import { connect } from "../link";
import type { Entries, LayerLine, LayersFromView, LayersToView, WastedPath } from "../messages";
import { decimalSize } from "../quantities";
import css from "./layers.css";

interface Place {
  list: HTMLElement;
  asked: boolean;
}

const SIGNS: Record<string, string> = { added: "+", changed: "~", removed: "−" };
const KINDS = ["added", "changed", "removed"] as const;

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addStyle(el, css);
  const link = connect<LayersFromView, LayersToView>(model, el);
  let sort: "name" | "size" = "name";
  let words = "";
  let layers: LayerLine[] = [];
  const places = new Map<string, Place>();
  const rows = new Map<number, HTMLDetailsElement>();

  const field = child(frame.bar, "input", "jc-frame-input");
  field.type = "search";
  field.placeholder = "Search files";
  field.setAttribute("aria-label", "Search the files of all layers");
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      words = field.value.trim();
      draw();
      if (words) link.send({ kind: "search", words });
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
    link.send({ kind: "open", layer, path, sort, words, first });
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

  /** Fetch all open folders again after a change of the order. */
  function refill(): void {
    for (const [number, row] of rows) {
      const list = row.querySelector<HTMLElement>(":scope > .jc-layers-entries")!;
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
      const row = child(scroll, "details", "jc-layers-layer");
      row.dataset.layer = String(layer.number);
      const head = child(row, "summary");
      child(head, "span", "", String(layer.number));
      const share = child(head, "span", "jc-layers-share");
      const used = Math.max(layer.size - layer.wasted, 0);
      child(share, "span").style.width = `${(100 * used) / largest}%`;
      child(share, "span", "jc-layers-lost").style.width = `${(100 * Math.min(layer.wasted, layer.size)) / largest}%`;
      child(head, "span", "jc-layers-bytes", decimalSize(layer.size));
      const text = child(head, "span", "jc-layers-words", layer.words || "(no instruction)");
      text.title = layer.words;
      if (layer.wasted) child(head, "span", "jc-layers-lost-bytes", `${decimalSize(layer.wasted)} wasted`);
      const counts = child(head, "span", "jc-layers-counts");
      for (const kind of KINDS) {
        if (!layer[kind]) continue;
        const count = child(counts, "span", `jc-layers-${kind}`, `${SIGNS[kind]}${layer[kind]}`);
        count.title = `${layer[kind]} files ${kind}`;
      }
      const list = child(row, "div", "jc-layers-entries");
      unfold(layer.number, "", list, row);
      rows.set(layer.number, row);
    }
  }

  function fill({ layer, path, entries, first, total }: Entries): void {
    const place = places.get(`${layer}:${path}`);
    if (!place) return;
    const { list } = place;
    if (first === 0) list.replaceChildren();
    list.querySelector(":scope > .jc-frame-button")?.remove();
    if (!total) child(list, "div", "jc-layers-entry", words ? "nothing of this name" : "no files");
    for (const entry of entries) {
      const title = entry.kind ? `${SIGNS[entry.kind]} ${entry.name}` : entry.name;
      const inside = entry.folder && entry.kind !== "removed";
      const details = inside ? child(list, "details") : null;
      const line = details ? child(details, "summary") : child(list, "div", "jc-layers-entry");
      child(line, "span", `jc-layers-name jc-layers-${entry.kind || "same"}`, entry.folder ? `${title}/` : title);
      if (entry.size) child(line, "span", "jc-layers-bytes", decimalSize(entry.size));
      if (entry.hidden) child(line, "span", "jc-layers-bytes jc-layers-removed", `−${decimalSize(entry.hidden)}`);
      if (details) {
        unfold(layer, entry.path, child(details, "div", "jc-layers-entries"), details);
        // A search opens the folders of its matches; a single folder is opened.
        if (entries.length === 1 && total === 1) details.open = true;
        else if (words && total <= 20) details.open = true;
      }
    }
    const shown = first + entries.length;
    if (shown < total) button(list, `${total - shown} more`, "Show more", () => fetch(layer, path, shown));
  }

  function wastedPaths(paths: WastedPath[], total: number): void {
    if (!paths.length) return;
    const box = child(frame.body, "details", "jc-layers-layer jc-layers-waste");
    child(child(box, "summary"), "span", "", `wasted: ${total} path${total === 1 ? "" : "s"}`);
    const list = child(box, "div", "jc-layers-entries");
    for (const item of paths) {
      const line = child(list, "div", "jc-layers-entry");
      child(line, "span", "jc-layers-name", item.path);
      child(line, "span", "jc-layers-bytes", `${decimalSize(item.size)} in ${item.layers} layers`);
    }
    if (paths.length < total) child(list, "div", "jc-layers-entry", `… and ${total - paths.length} more`);
  }

  link.open((message) => {
    if (message.kind === "hello") {
      layers = message.layers;
      frame.setTitle(message.name);
      const efficiency = (100 * message.efficiency).toFixed(2);
      frame.setState(`${decimalSize(message.size)}, efficiency ${efficiency} %, wasted ${decimalSize(message.wasted)}`);
      draw();
      frame.body.querySelector(".jc-layers-waste")?.remove();
      wastedPaths(message.paths, message.wasted_paths);
    } else if (message.words !== words) {
      return; // the answer to an earlier search
    } else if (message.kind === "entries") {
      fill(message);
    } else {
      for (const [number, count] of Object.entries(message.layers)) {
        const row = rows.get(Number(number));
        if (!row) continue;
        row.hidden = count === 0;
        const counts = row.querySelector(".jc-layers-counts")!;
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
