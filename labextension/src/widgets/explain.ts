/**
 * A container from inside and outside, side by side, as it changes.
 *
 * From the kernel: `hello` and `explained`, both with `name`, `image`, `running` and `sections`
 * (title, sentence, lines of what, inside, outside); `notice` with a text where it cannot look any
 * more, `gone` where the container has been removed.  To it: nothing but the view's life.
 */
import type { RenderProps } from "@anywidget/types";

import { addStyle, child, makeFrame } from "../frame";
import { connect } from "../link";

type Line = [what: string, inside: string, outside: string];

interface Section {
  title: string;
  sentence: string;
  lines: Line[];
}

interface Explanation {
  name: string;
  image: string;
  running: boolean;
  sections: Section[];
}

interface Drawn {
  details: HTMLDetailsElement;
  count: HTMLElement;
  sentence: HTMLElement;
  body: HTMLElement;
  lines: Map<string, HTMLTableCellElement[]>;
}

const LINES_OPEN = 15;
const STYLE = `
.jc-mechanisms { max-height: 560px; overflow: auto; }
.jc-mechanisms.jc-old { opacity: .55; }
.jc-mechanism { border-top: 1px solid var(--jp-border-color3, rgba(128,128,128,.2)); padding: 0 12px; }
.jc-mechanism:first-child { border-top: 0; }
.jc-mechanism > summary { cursor: pointer; padding: 5px 0; font-weight: 600; }
.jc-mechanism > summary > .jc-number-of { font-weight: 400; color: var(--jp-ui-font-color2, inherit); margin-left: 8px; }
.jc-mechanism > summary:focus-visible { outline: 2px solid var(--jp-brand-color1, #3b78d8); outline-offset: -2px; }
.jc-mechanism > p { margin: 0 0 4px; max-width: 60em; color: var(--jp-ui-font-color2, inherit); }
.jc-sides { border-collapse: collapse; width: 100%; table-layout: fixed; margin: 0 0 10px; font-size: inherit; }
.jc-sides th, .jc-sides td { text-align: left; vertical-align: top; padding: 3px 14px 3px 0; overflow-wrap: anywhere;
  border-bottom: 1px solid var(--jp-border-color3, rgba(128,128,128,.2)); background: none; }
.jc-sides th { font-weight: 600; color: var(--jp-ui-font-color2, inherit); }
.jc-sides th:first-child { width: 28%; }
.jc-sides tr:last-child td { border-bottom: 0; }
.jc-sides td + td { font-family: var(--jp-code-font-family, monospace); font-size: 12px; }
.jc-sides .jc-changed { animation: jc-changed 2s ease-out; }
@keyframes jc-changed { from { background: var(--jp-brand-color3, rgba(59,120,216,.35)); } }
@media (prefers-reduced-motion: reduce) { .jc-sides .jc-changed { animation: none; } }
`;

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addStyle(el, STYLE);
  const link = connect(model, el);
  const notice = child(frame.body, "div", "jc-notice");
  notice.setAttribute("role", "status");
  notice.hidden = true;
  const place = child(frame.body, "div", "jc-mechanisms");
  const drawn = new Map<string, Drawn>();
  let held: Explanation | null = null;
  let paused = false;

  const pause = frame.button("Pause", "Hold the explanation still", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused && held) draw(held);
    held = null;
  });

  function draw(value: Explanation): void {
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
    if (message.kind === "hello" || message.kind === "explained") {
      const value = message as unknown as Explanation;
      if (paused) held = value;
      else draw(value);
      notice.hidden = true;
      place.classList.remove("jc-old");
    } else if (message.kind === "notice" && message.gone === true) {
      // Containers go; what was seen of one is still worth reading.
      frame.setState("removed; this is how it was seen last");
      notice.hidden = true;
    } else if (message.kind === "notice") {
      notice.textContent = String(message.text ?? "");
      notice.hidden = !notice.textContent;
      place.classList.add("jc-old");
    }
  });
  return () => link.close();
}

function makeSection(section: Section): Drawn {
  const details = document.createElement("details");
  details.className = "jc-mechanism";
  details.open = section.lines.length <= LINES_OPEN;
  const summary = child(details, "summary", "", section.title);
  const count = child(summary, "span", "jc-number-of");
  const sentence = child(details, "p");
  const table = child(details, "table", "jc-sides");
  const head = child(child(table, "thead"), "tr");
  for (const title of ["What", "Inside", "Outside"]) child(head, "th", "", title);
  return { details, count, sentence, body: child(table, "tbody"), lines: new Map() };
}

/** Write the lines; those that were there before keep their place in the page and show what is new. */
function fill(item: Drawn, section: Section): void {
  item.count.textContent = String(section.lines.length);
  item.sentence.textContent = section.sentence;
  const first = item.lines.size === 0;
  const seen = new Map<string, number>();
  const rows = section.lines.map((line) => {
    // Processes may have the same command: the second of a name is another line.
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
  cell.classList.remove("jc-changed");
  void cell.offsetWidth; // so that the animation begins anew
  cell.classList.add("jc-changed");
}

export default { render };
