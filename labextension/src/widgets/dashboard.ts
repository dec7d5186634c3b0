/** Containers at a glance, with buttons. */
import type { RenderProps } from "@anywidget/types";

import { addChartStyle, sparkline } from "../chart";
import { addStyle, askingButton, button, child, makeFrame } from "../frame";
import { connect } from "../link";
import type { Act, DashboardFromView, DashboardToView, Row } from "../messages";
import { binarySize } from "../quantities";
import css from "./dashboard.css";

interface Drawn {
  line: HTMLTableRowElement;
  update(row: Row): void;
}

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addChartStyle(el);
  addStyle(el, css);
  frame.setTitle("Containers");
  const link = connect<DashboardFromView, DashboardToView>(model, el);
  const notice = child(frame.body, "div", "jc-frame-notice");
  notice.setAttribute("role", "status");
  notice.hidden = true;
  const scroll = child(frame.body, "div", "jc-dashboard-scroll");
  const table = child(scroll, "table", "jc-dashboard-table");
  const head = child(child(table, "thead"), "tr");
  for (const title of ["Name", "Image", "State", "Ports", "CPU", "Memory", ""]) child(head, "th", "", title);
  const lines = child(table, "tbody");
  const empty = child(frame.body, "div", "jc-dashboard-empty", "no containers");
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
        item = makeRow(row.id, (action) => link.send({ kind: "act", action, id: row.id }));
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
    if (message.kind === "notice") {
      notice.textContent = message.text;
      notice.hidden = !message.text;
    } else {
      draw(message.rows);
    }
  });
  return () => link.close();
}

/** One container's line; its buttons stay the same elements, so that a click never hits another. */
function makeRow(id: string, act: (action: Act["action"]) => void): Drawn {
  const line = document.createElement("tr");
  line.dataset.id = id;
  const name = child(line, "td", "jc-dashboard-name");
  const image = child(line, "td", "jc-dashboard-image");
  const state = child(line, "td", "jc-dashboard-wrap");
  const ports = child(line, "td", "jc-dashboard-ports");
  const cpu = child(line, "td");
  const memory = child(line, "td");
  const actions = child(line, "td", "jc-dashboard-actions");
  const start = button(actions, "Start", "Start it", () => act("start"));
  const stop = button(actions, "Stop", "Stop it", () => act("stop"));
  const restart = button(actions, "Restart", "Restart it", () => act("restart"));
  const logs = button(actions, "Logs", "Show its output", () => act("logs"));
  const terminal = button(actions, "Terminal", "Open a shell in it", () => act("terminal"));
  const remove = askingButton(actions, "Remove", "Really remove?", "Remove it, even if it is running", () =>
    act("remove"),
  );

  return {
    line,
    update(row) {
      const alive = row.state === "running" || row.state === "paused";
      name.textContent = name.title = row.name;
      image.textContent = image.title = row.image;
      state.replaceChildren();
      child(state, "span", "jc-dashboard-dot").dataset.state = row.state;
      child(state, "span", "", row.busy || row.status);
      if (row.health && alive) child(state, "span", "jc-dashboard-health", row.health).dataset.health = row.health;
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
      fill(memory, alive, row.memory, "#1b8a6b", 1, (value) => binarySize(value));
      memory.title = row.limit ? `of ${binarySize(row.limit)}` : "";
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
  child(cell, "span", "jc-dashboard-number", format(last));
}

export default { render };
