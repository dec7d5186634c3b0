/** A container from inside and outside, side by side, as it changes. */
import type { RenderProps } from "@anywidget/types";

import { addStyle, child, makeFrame } from "../frame";
import { connect } from "../link";
import type { Explained, ExplainedSection, ExplainFromView, ExplainHello, ExplainToView } from "../messages";
import css from "./explain.css";

interface Drawn {
  details: HTMLDetailsElement;
  count: HTMLElement;
  sentence: HTMLElement;
  body: HTMLElement;
  lines: Map<string, HTMLTableCellElement[]>;
}

const LINES_OPEN = 15;

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addStyle(el, css);
  const link = connect<ExplainFromView, ExplainToView>(model, el);
  const notice = child(frame.body, "div", "jc-frame-notice");
  notice.setAttribute("role", "status");
  notice.hidden = true;
  const place = child(frame.body, "div", "jc-explain-sections");
  const drawn = new Map<string, Drawn>();
  let held: Explained | ExplainHello | null = null;
  let paused = false;

  const pause = frame.button("Pause", "Pause updates", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused && held) draw(held);
    held = null;
  });

  function draw(value: Explained | ExplainHello): void {
    frame.setTitle(value.name);
    frame.setState(
      `a container of ${value.image}, ${value.running ? "running" : "not running: start it to see the rest"}`,
    );
    const titles = new Set(value.sections.map((section) => section.title));
    for (const [title, old] of drawn) {
      if (titles.has(title)) continue;
      old.details.remove();
      drawn.delete(title);
    }
    value.sections.forEach((section, index) => {
      let item = drawn.get(section.title);
      if (!item) {
        item = makeSection(section);
        drawn.set(section.title, item);
      }
      if (place.children[index] !== item.details) place.insertBefore(item.details, place.children[index] ?? null);
      fill(item, section);
    });
  }

  link.open((message) => {
    if (message.kind !== "notice") {
      if (paused) held = message;
      else draw(message);
      notice.hidden = true;
      place.classList.remove("jc-explain-old");
    } else if (message.gone) {
      // The content stays readable after the container was removed.
      frame.setState("removed; this is how it was seen last");
      notice.hidden = true;
    } else {
      notice.textContent = message.text;
      notice.hidden = !message.text;
      place.classList.add("jc-explain-old");
    }
  });
  return () => link.close();
}

function makeSection(section: ExplainedSection): Drawn {
  const details = document.createElement("details");
  details.className = "jc-explain-section";
  details.open = section.lines.length <= LINES_OPEN;
  const summary = child(details, "summary", "", section.title);
  const count = child(summary, "span", "jc-explain-count");
  const sentence = child(details, "p");
  const table = child(details, "table", "jc-explain-table");
  const head = child(child(table, "thead"), "tr");
  for (const title of ["What", "Inside", "Outside"]) child(head, "th", "", title);
  return { details, count, sentence, body: child(table, "tbody"), lines: new Map() };
}

/** Write the lines; existing ones keep their elements in the page and highlight changes. */
function fill(item: Drawn, section: ExplainedSection): void {
  item.count.textContent = String(section.lines.length);
  item.sentence.textContent = section.sentence;
  const first = item.lines.size === 0;
  const seen = new Map<string, number>();
  const rows = section.lines.map((line) => {
    // Processes may have the same command: the second one gets another line.
    const number = seen.get(line[0]) ?? 0;
    seen.set(line[0], number + 1);
    const key = `${line[0]}\n${number}`;
    let cells = item.lines.get(key);
    const known = cells !== undefined;
    if (!cells) {
      const row = document.createElement("tr");
      cells = [child(row, "td"), child(row, "td"), child(row, "td")];
      item.lines.set(key, cells);
    }
    cells.forEach((cell, index) => {
      const text = line[index] ?? "";
      if (cell.textContent === text) return;
      cell.textContent = text;
      if ((known || !first) && (index > 0 || !known)) flash(cell);
    });
    return { key, row: cells[0]!.parentElement! };
  });
  const kept = new Set(rows.map(({ key }) => key));
  for (const key of [...item.lines.keys()]) if (!kept.has(key)) item.lines.delete(key);
  const wanted = rows.map(({ row }) => row);
  if (wanted.length !== item.body.children.length || wanted.some((row, i) => item.body.children[i] !== row)) {
    item.body.replaceChildren(...wanted);
  }
}

function flash(cell: HTMLElement): void {
  cell.classList.remove("jc-explain-changed");
  void cell.offsetWidth; // so that the animation begins anew
  cell.classList.add("jc-explain-changed");
}

export default { render };
