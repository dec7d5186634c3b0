/** An application as a picture of its services, or as a table where there is little room. */
import type { RenderProps } from "@anywidget/types";

import { addStyle, askingButton, button, child, makeFrame } from "../frame";
import { connect } from "../link";
import type {
  ApplicationAct,
  ApplicationDrawn,
  ApplicationFromView,
  ApplicationHello,
  ApplicationToView,
  ServiceLine,
} from "../messages";
import { binarySize } from "../quantities";
import css from "./application.css";

// Below this share of its natural size the picture's words are too small to read.
const SMALLEST = 0.72;

const CELLS = [
  "jc-application-name",
  "",
  "jc-application-ports",
  "jc-application-number",
  "",
  "",
  "jc-application-image",
];

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addStyle(el, css);
  const link = connect<ApplicationFromView, ApplicationToView>(model, el);
  const act = (action: ApplicationAct["action"], service = ""): void => link.send({ kind: "act", action, service });
  const start = frame.button("Start", "Start all services", () => act("start"));
  const stop = frame.button("Stop", "Stop all services; their containers stay", () => act("stop"));
  const restart = frame.button("Restart", "Stop and start all services", () => act("restart"));
  const logs = frame.button("Logs", "Show what all services write", () => act("logs"));
  const asTable = frame.button("Table", "Show a table in place of the picture", () => {
    wanted = !wanted;
    arrange();
  });
  const down = askingButton(frame.bar, "Down", "Really remove?", "Stop and remove the containers and networks", () =>
    act("down"),
  );

  const notice = child(frame.body, "div", "jc-frame-notice");
  notice.setAttribute("role", "status");
  notice.hidden = true;
  const picture = child(frame.body, "div", "jc-application-picture");
  const scroll = child(frame.body, "div", "jc-application-scroll");
  const table = child(scroll, "table", "jc-application-table");
  const head = child(child(table, "thead"), "tr");
  for (const title of ["Service", "State", "Ports", "Usage", "Log", "Needs", "Image"]) child(head, "th", "", title);
  const lines = child(table, "tbody");

  start.hidden = asTable.hidden = true; // until the kernel has said what there is
  let wanted = false; // the reader asked for the table
  let shown = ""; // the SVG text that is drawn
  let natural = 0;

  function draw(drawn: ApplicationDrawn | ApplicationHello): void {
    frame.setTitle(drawn.name);
    frame.setState(drawn.busy || drawn.words);
    const { busy, containers, running } = drawn;
    start.hidden = running > 0 || !containers;
    stop.hidden = running === 0;
    start.disabled = stop.disabled = Boolean(busy);
    restart.disabled = Boolean(busy) || !containers;
    down.disabled = Boolean(busy) || !containers;
    logs.disabled = !containers;
    if (drawn.svg !== shown) {
      // Only what is different is drawn again: a link keeps its focus while the numbers change.
      shown = drawn.svg;
      picture.replaceChildren(...(shown ? [drawing(shown)] : []));
      natural = picture.querySelector("svg")?.viewBox.baseVal?.width ?? 0;
    }
    fillUsage(picture, drawn.services);
    fillTable(lines, drawn.services, (service) => act("logs", service));
    arrange();
  }

  function arrange(): void {
    const width = frame.body.clientWidth;
    const narrow = natural > 0 && width > 0 && width < natural * SMALLEST;
    const tabular = !shown || narrow || wanted;
    picture.hidden = tabular;
    scroll.hidden = !tabular;
    table.classList.toggle("jc-application-narrow", width > 0 && width < 560);
    asTable.hidden = !shown || narrow;
    asTable.setAttribute("aria-pressed", String(wanted));
  }

  const observer = new ResizeObserver(arrange);
  observer.observe(frame.body);
  link.open((message) => {
    if (message.kind !== "notice") {
      draw(message);
    } else {
      notice.textContent = message.text;
      notice.hidden = !message.text;
    }
  });
  return () => {
    observer.disconnect();
    link.close();
  };
}

/** The kernel's SVG as an element of this page; parsed as XML, which runs nothing. */
function drawing(text: string): Node {
  return document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
}

function usage(service: ServiceLine): string {
  return service.memory ? `${service.cpu.toFixed(1)} % · ${binarySize(service.memory)}` : "";
}

function fillUsage(picture: Element, services: ServiceLine[]): void {
  const known = new Map(services.map((service) => [service.name, service]));
  for (const place of picture.querySelectorAll<SVGTextElement>("[data-usage]")) {
    const service = known.get(place.dataset.usage ?? "");
    place.textContent = service ? usage(service) : "";
  }
}

function fillTable(lines: Element, services: ServiceLine[], openLog: (service: string) => void): void {
  const known = new Map([...lines.children].map((line) => [(line as HTMLElement).dataset.service, line]));
  const rows = services.map((service) => {
    const line = (known.get(service.name) ?? newLine(service.name, openLog)) as HTMLTableRowElement;
    update(line, service);
    return line;
  });
  // The lines stay where they are as long as the services do: a click never meets another.
  if (rows.some((row, index) => lines.children[index] !== row) || lines.children.length !== rows.length)
    lines.replaceChildren(...rows);
}

function newLine(name: string, openLog: (service: string) => void): HTMLTableRowElement {
  const line = document.createElement("tr");
  line.dataset.service = name;
  for (const style of CELLS) child(line, "td", style);
  const made = button(line.cells[4]!, "Log", `Show what ${name} writes`, () => openLog(name));
  made.setAttribute("aria-label", `Log of ${name}`);
  return line;
}

function update(line: HTMLTableRowElement, service: ServiceLine): void {
  const [name, state, ports, used, , needs, image] = [...line.cells] as HTMLTableCellElement[];
  line.style.setProperty("--jc-application-colour", service.colour);
  set(name!, service.name);
  if (state!.dataset.words !== service.words) {
    state!.dataset.words = service.words;
    state!.replaceChildren();
    child(state!, "span", "jc-application-dot").dataset.tone = service.tone;
    child(state!, "span", "", service.words);
  }
  const text = JSON.stringify(service.ports);
  if (ports!.dataset.ports !== text) {
    ports!.dataset.ports = text;
    ports!.replaceChildren();
    for (const port of service.ports) {
      const place = child(ports!, port.url ? "a" : "span", "", port.text);
      if (!(place instanceof HTMLAnchorElement)) continue;
      place.href = port.url;
      place.target = "_blank";
      place.rel = "noopener";
    }
  }
  set(used!, usage(service));
  set(needs!, service.needs.join(", "));
  set(image!, service.image);
}

function set(cell: HTMLElement, text: string): void {
  if (cell.textContent !== text) cell.textContent = cell.title = text;
}

export default { render };
