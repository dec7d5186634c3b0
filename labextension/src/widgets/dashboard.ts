/**
 * Containers at a glance, with buttons.
 *
 * From the kernel: `hello` and `rows` (all rows), `notice` (an error in one line).  To it: `act`
 * with `action` and the container's `id`.
 */
import type { RenderProps } from "@anywidget/types";

import { bytes, sparkline } from "../chart";
import { addStyle, askingButton, button, child, makeFrame } from "../frame";
import { connect } from "../link";

interface Row {
  id: string;
  name: string;
  image: string;
  state: string;
  status: string;
  health: string;
  ports: { text: string; url: string }[];
  cpu: number[];
  memory: number[];
  limit: number;
  busy: string;
}

const STYLE = `
.jc-table { width: 100%; border-collapse: collapse; font-size: 12px; }
.jc-table th, .jc-table td { text-align: left !important; padding: 4px 7px; vertical-align: middle; white-space: nowrap;
  border-bottom: 1px solid var(--jp-border-color3, rgba(128,128,128,.2)); }
.jc-table th { font-weight: 600; color: var(--jp-ui-font-color2, inherit); }
.jc-table tr:last-child td { border-bottom: 0; }
.jc-scroll { overflow-x: auto; }
.jc-scroll td.jc-name { font-weight: 600; max-width: 14em; overflow: hidden; text-overflow: ellipsis; }
.jc-scroll td.jc-image { max-width: 13em; overflow: hidden; text-overflow: ellipsis; }
.jc-dot { display: inline-block; width: 8px; height: 8px; border-radius: 50%; margin-right: 6px; background: #8a8f98; }
.jc-dot.running { background: var(--jp-success-color1, #2a8f4d); }
.jc-dot.paused { background: var(--jp-warn-color1, #d9822b); }
.jc-dot.dead { background: var(--jp-error-color1, #d14343); }
.jc-health { border-radius: 8px; padding: 0 6px; margin-left: 6px; border: 1px solid currentColor; font-size: 11px; }
.jc-health.healthy { color: var(--jp-success-color1, #2a8f4d); }
.jc-health.unhealthy { color: var(--jp-error-color1, #d14343); }
.jc-health.starting { color: var(--jp-warn-color0, #a07400); }
.jc-spark { width: 60px; height: 16px; vertical-align: middle; margin-right: 6px; }
.jc-number { font-variant-numeric: tabular-nums; display: inline-block; min-width: 4.2em; }
.jc-actions .jc-button { padding: 0 5px; margin-right: 3px; }
.jc-table td.jc-actions { position: sticky; right: 0; background: var(--jp-layout-color1, var(--vscode-editor-background, Canvas)); }
.jc-table td.jc-wrap { white-space: normal; min-width: 7.5em; }
.jc-ports > * { display: block; white-space: nowrap; }
.jc-table td a { color: var(--jp-content-link-color, #1f5fc4); margin-right: 6px; }
.jc-empty { padding: 10px 12px; color: var(--jp-ui-font-color2, inherit); }
`;

interface Drawn {
  line: HTMLTableRowElement;
  update(row: Row): void;
}

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addStyle(el, STYLE);
  frame.setTitle("Containers");
  const link = connect(model, el);
  const notice = child(frame.body, "div", "jc-notice");
  notice.setAttribute("role", "status");
  notice.hidden = true;
  const scroll = child(frame.body, "div", "jc-scroll");
  const table = child(scroll, "table", "jc-table");
  const head = child(child(table, "thead"), "tr");
  for (const title of ["Name", "Image", "State", "Ports", "CPU", "Memory", ""]) child(head, "th", "", title);
  const lines = child(table, "tbody");
  const empty = child(frame.body, "div", "jc-empty", "no containers");
  const drawn = new Map<string, Drawn>();

  function draw(rows: Row[]): void {
    const wanted = new Set(rows.map((row) => row.id));
    for (const [id, { line }] of drawn) {
      if (!wanted.has(id)) {
        line.remove();
        drawn.delete(id);
      }
    }
    rows.forEach((row, index) => {
      let item = drawn.get(row.id);
      if (!item) {
        item = makeRow(row.id, (action) => link.send("act", { action, id: row.id }));
        drawn.set(row.id, item);
      }
      item.update(row);
      if (lines.children[index] !== item.line) lines.insertBefore(item.line, lines.children[index] ?? null);
    });
    empty.hidden = rows.length > 0;
    scroll.hidden = rows.length === 0;
    const running = rows.filter((row) => row.state === "running").length;
    frame.setState(`${running} running, ${rows.length} shown`);
  }

  link.open((message) => {
    if (message.kind === "hello" || message.kind === "rows") draw((message.rows ?? []) as Row[]);
    if (message.kind === "notice") {
      notice.textContent = String(message.text ?? "");
      notice.hidden = !notice.textContent;
    }
  });
  return () => link.close();
}

/** One container's line; its buttons stay the same, so that a click never meets another. */
function makeRow(id: string, act: (action: string) => void): Drawn {
  const line = document.createElement("tr");
  line.dataset.id = id;
  const name = child(line, "td", "jc-name");
  const image = child(line, "td", "jc-image");
  const state = child(line, "td", "jc-wrap");
  const ports = child(line, "td", "jc-ports");
  const cpu = child(line, "td");
  const memory = child(line, "td");
  const actions = child(line, "td", "jc-actions");
  const start = button(actions, "Start", "Start it", () => act("start"));
  const stop = button(actions, "Stop", "Stop it", () => act("stop"));
  const restart = button(actions, "Restart", "Stop and start it", () => act("restart"));
  const logs = button(actions, "Logs", "Show what it writes", () => act("logs"));
  const terminal = button(actions, "Terminal", "Open a shell in it", () => act("terminal"));
  const remove = askingButton(actions, "Remove", "Really remove?", "Remove it, also when it runs", () => act("remove"));

  return {
    line,
    update(row) {
      const alive = row.state === "running" || row.state === "paused";
      name.textContent = name.title = row.name;
      image.textContent = image.title = row.image;
      state.replaceChildren();
      child(state, "span", `jc-dot ${row.state}`);
      child(state, "span", "", row.busy || row.status);
      if (row.health && alive) child(state, "span", `jc-health ${row.health}`, row.health);
      ports.replaceChildren();
      for (const port of row.ports) {
        if (!port.url) {
          child(ports, "span", "", port.text);
          continue;
        }
        const anchor = child(ports, "a", "", port.text);
        anchor.href = port.url;
        anchor.target = "_blank";
        anchor.rel = "noopener";
      }
      fill(cpu, alive, row.cpu, "#3b78d8", 1, (value) => `${value.toFixed(1)} %`);
      fill(memory, alive, row.memory, "#1b8a6b", 1, (value) => bytes(value, true));
      memory.title = row.limit ? `of ${bytes(row.limit, true)}` : "";
      start.hidden = alive;
      stop.hidden = !alive;
      restart.disabled = !alive;
      terminal.disabled = row.state !== "running";
      for (const one of [start, stop, restart, remove]) one.disabled ||= Boolean(row.busy);
      if (!row.busy) {
        start.disabled = stop.disabled = remove.disabled = false;
        restart.disabled = !alive;
      }
      logs.disabled = false;
    },
  };
}

function fill(
  cell: HTMLElement,
  alive: boolean,
  values: number[],
  colour: string,
  top: number,
  format: (value: number) => string,
): void {
  cell.replaceChildren();
  const last = values[values.length - 1];
  if (!alive || last === undefined) return;
  cell.appendChild(sparkline(values, colour, top));
  child(cell, "span", "jc-number", format(last));
}

export default { render };
