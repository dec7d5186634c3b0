/** Converts items to the rows of the panel's tree: sections, filter, order, and a row's content. */
import { child } from "../frame";
import { ago, binarySize, decimalSize, plural, took } from "../quantities";
import type { Client } from "./client";
import { nameOf, SECTION_ACTIONS } from "./menus";
import { grouped, type Project, projectKey, projectOf } from "./projects";
import type {
  BuildItem,
  ContainerItem,
  ImageItem,
  Items,
  NetworkItem,
  RegistryItem,
  Section,
  VolumeItem,
} from "./protocol";
import { alive, status } from "./status";
import type { Row } from "./tree";

export const TITLES: Record<Section, string> = {
  containers: "Containers",
  images: "Images",
  volumes: "Volumes",
  networks: "Networks",
  builds: "Builds",
  registries: "Registries",
};
const HEADER = 28;
const ITEM = 42;
const EMPTY: Record<Section, string> = {
  containers: "no containers",
  images: "no images",
  volumes: "no volumes",
  networks: "no networks",
  builds: "nothing was built yet",
  registries: "no login, no registry here",
};

/** The content of an item's row: two lines, a part at the right, a label for screen readers. */
interface Shown {
  title: string;
  right: string;
  below: string;
  mark: "dot" | "cube" | "disk" | "net" | "build" | "stack"; // its form at the left
  state?: string; // what colours the mark
  badge?: string;
  links?: { text: string; url: string }[];
  hint?: string;
  quick?: Quick[];
}

/** A button of a row, for the mouse; the menu has the same for the keyboard. */
export interface Quick {
  action: string;
  label: string;
  sign: string;
}

export interface View {
  filter: string;
  folded: ReadonlySet<Section>;
  /** Projects whose containers are folded away, by name. */
  foldedProjects: ReadonlySet<string>;
  now: number; // seconds since the epoch
  busy: ReadonlyMap<string, string>;
  press(key: string, action: string, place: HTMLElement): void;
}

export function keyOf(section: Section, id: string): string {
  return `${section}/${id}`;
}

export function itemOf(client: Client, key: string): { section: Section; item: Items[Section] | undefined } {
  const [section, ...rest] = key.split("/") as [Section, ...string[]];
  if (projectOf(key) !== null) return { section: "containers", item: undefined };
  return { section, item: rest.length ? client.get(section, rest.join("/")) : undefined };
}

/** Return the rows of all sections. */
export function rowsOf(client: Client, view: View): Row[] {
  const sections = (Object.keys(TITLES) as Section[]).filter((name) => client.known.has(name));
  const words = view.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const rows: Row[] = [];
  sections.forEach((section, number) => {
    const all = client.list(section);
    const found = all
      .map((item) => ({ item, shown: shownOf(section, item, client, view) }))
      .filter(({ item, shown }) => matches(item, shown, words));
    const open = !view.folded.has(section);
    const count = words.length ? `${found.length} of ${all.length}` : `${all.length}`;
    const title = TITLES[section];
    rows.push({
      key: section,
      level: 1,
      height: HEADER,
      label: `${title}, ${count}`,
      expanded: open,
      position: number + 1,
      siblings: sections.length,
      version: `${open} ${count}`,
      draw: (place) => drawHeader(place, section, count, open, view),
    });
    if (!open) return;
    found.sort((a, b) => order(section, a.item, b.item));
    if (!found.length) rows.push(emptyRow(section, words.length ? "nothing of this name" : EMPTY[section]));
    const projects = section === "containers" ? grouped(found.map(({ item }) => item as ContainerItem)) : [];
    const members = new Set(projects.flatMap((project) => project.members));
    const single = found.filter(({ item }) => !members.has(item as ContainerItem));
    const siblings = projects.length + single.length;
    projects.forEach((project, position) => {
      rows.push(...projectRows(project, position + 1, siblings, client, view));
    });
    single.forEach(({ item, shown }, position) => {
      rows.push(itemRow(section, item, shown, { level: 2, position: projects.length + position + 1, siblings }, view));
    });
  });
  return rows;
}

type Place = Pick<Row, "level" | "position" | "siblings">;

function itemRow(section: Section, item: Items[Section], shown: Shown, place: Place, view: View): Row {
  const key = keyOf(section, item.id);
  return {
    key,
    ...place,
    height: ITEM,
    label: [shown.title, shown.badge, shown.below, shown.right].filter(Boolean).join(", "),
    version: JSON.stringify(shown),
    draw: (node) => drawItem(node, key, shown, view),
  };
}

/** Return the row of a project and, where it is unfolded, those of its containers. */
function projectRows(project: Project, position: number, siblings: number, client: Client, view: View): Row[] {
  const key = projectKey(project.name);
  const open = !view.foldedProjects.has(project.name);
  const running = project.members.filter(alive).length;
  const shown: Shown = {
    title: project.name,
    right: "",
    below: view.busy.get(key) ?? `${running} of ${plural(project.members.length, "container")} running`,
    mark: "stack",
    state: running ? "running" : "exited",
    hint: `the Compose project ${project.name}`,
    quick: [
      running ? { action: "stop", label: "Stop all", sign: "■" } : { action: "start", label: "Start all", sign: "▶" },
      { action: "logs", label: "Logs of all", sign: "≡" },
    ],
  };
  const head: Row = {
    key,
    level: 2,
    position,
    siblings,
    height: ITEM,
    label: `project ${shown.title}, ${shown.below}`,
    expanded: open,
    version: `${open} ${JSON.stringify(shown)}`,
    draw: (node) => {
      const sign = child(node, "span", `jc-lab-fold${open ? " jc-lab-open" : ""}`);
      sign.setAttribute("aria-hidden", "true");
      drawItem(node, key, shown, view);
    },
  };
  if (!open) return [head];
  const rows = project.members.map((item, number) => {
    const place = { level: 3, position: number + 1, siblings: project.members.length };
    return itemRow("containers", item, container(item, client, view), place, view);
  });
  return [head, ...rows];
}

function order(section: Section, a: Items[Section], b: Items[Section]): number {
  const rank = (item: Items[Section]): number => {
    if (section === "containers") return alive(item as ContainerItem) ? 0 : 1;
    if (section === "networks") return (item as NetworkItem).fixed ? 1 : 0;
    return 0;
  };
  const time = (item: Items[Section]): number =>
    "created" in item ? item.created : "started" in item ? item.started : 0;
  return rank(a) - rank(b) || time(b) - time(a) || nameOf(section, a).localeCompare(nameOf(section, b));
}

function matches(item: { id: string }, shown: Shown, words: string[]): boolean {
  if (!words.length) return true;
  const text = `${shown.title} ${shown.below} ${shown.badge ?? ""} ${shown.hint ?? ""} ${item.id}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function shownOf(section: Section, item: Items[Section], client: Client, view: View): Shown {
  switch (section) {
    case "containers":
      return container(item as ContainerItem, client, view);
    case "images":
      return image(item as ImageItem, view);
    case "volumes":
      return volume(item as VolumeItem);
    case "networks":
      return network(item as NetworkItem);
    case "builds":
      return build(item as BuildItem, view);
    case "registries":
      return registry(item as RegistryItem);
  }
}

function container(item: ContainerItem, client: Client, view: View): Shown {
  const usage = item.state === "running" ? client.usage.get(item.id) : undefined;
  const busy = view.busy.get(keyOf("containers", item.id));
  const running = item.state === "running";
  return {
    title: item.name,
    right: usage ? `${usage.cpu.toFixed(usage.cpu < 10 ? 1 : 0)} % · ${binarySize(usage.memory)}` : "",
    below: `${busy ?? (usage?.cell ? `runs ${usage.cell}` : status(item, view.now))} · ${item.image}`,
    mark: "dot",
    state: item.state === "exited" && item.exit_code ? "failed" : item.state,
    ...(item.health && alive(item) ? { badge: item.health } : item.session ? { badge: "session" } : {}),
    links: item.ports.filter((port) => port.text.includes("→")),
    hint: `${item.command}\n${item.id}`,
    quick: [
      running ? { action: "stop", label: "Stop", sign: "■" } : { action: "start", label: "Start", sign: "▶" },
      ...(running ? [{ action: "terminal", label: "Terminal", sign: ">_" }] : []),
      { action: "logs", label: "Logs", sign: "≡" },
    ],
  };
}

function image(item: ImageItem, view: View): Shown {
  const id = item.id.replace(/^sha256:/, "").slice(0, 12);
  const [first, ...others] = item.names;
  const age = item.created ? ago(item.created, view.now) : "";
  const users = item.containers ? plural(item.containers, "container") : "";
  return {
    title: first ?? "<none>",
    right: decimalSize(item.size),
    below: [id, age, users, others.length ? `also ${others.join(", ")}` : ""].filter(Boolean).join(" · "),
    mark: "cube",
    state: first ? "named" : "dangling",
    hint: item.names.join("\n") || item.id,
    quick: [{ action: "run", label: "Run…", sign: "▶" }],
  };
}

function volume(item: VolumeItem): Shown {
  const anonymous = /^[0-9a-f]{64}$/.test(item.id);
  return {
    title: anonymous ? item.id.slice(0, 12) : item.id,
    right: "",
    below: `${users(item.containers)}${anonymous ? " · anonymous" : ""}`,
    mark: "disk",
    hint: `${item.id}\n${item.mountpoint}`,
  };
}

function network(item: NetworkItem): Shown {
  return {
    title: item.name,
    right: item.subnet,
    below: [
      item.driver,
      item.internal ? "internal" : "",
      item.fixed && !item.containers.length ? "" : users(item.containers),
    ]
      .filter(Boolean)
      .join(" · "),
    mark: "net",
    hint: item.id,
  };
}

function build(item: BuildItem, view: View): Shown {
  const cached = item.steps ? `${item.cached} of ${plural(item.steps, "step")} cached` : "";
  const ended = item.outcome === "done" ? "" : item.outcome;
  return {
    title: item.name,
    right: took(item.outcome === "running" ? Math.max(0, view.now - item.started) : item.seconds),
    below: [ended, item.error || cached, item.outcome === "running" ? item.source : ago(item.started, view.now)]
      .filter(Boolean)
      .join(" · "),
    mark: "build",
    state: item.outcome,
    hint: [item.source, item.error].filter(Boolean).join("\n"),
  };
}

function registry(item: RegistryItem): Shown {
  const below = [
    item.container ? `container ${item.container}` : "",
    item.volume ? `volume ${item.volume}` : "",
    item.credentials ? "logged in" : "",
  ];
  return {
    title: item.id,
    right: "",
    below: below.filter(Boolean).join(" · "),
    mark: item.container ? "dot" : "net",
    state: item.container ? "running" : "elsewhere",
  };
}

function users(names: string[]): string {
  if (!names.length) return "unused";
  return names.length > 3 ? `used by ${plural(names.length, "container")}` : `used by ${names.join(", ")}`;
}

function drawHeader(place: HTMLElement, section: Section, count: string, open: boolean, view: View): void {
  const sign = child(place, "span", `jc-lab-fold${open ? " jc-lab-open" : ""}`);
  sign.setAttribute("aria-hidden", "true");
  child(place, "span", "jc-lab-section", TITLES[section]);
  child(place, "span", "jc-lab-count", count);
  if (SECTION_ACTIONS[section].length) drawQuick(place, section, [{ action: "menu", label: "More", sign: "⋯" }], view);
}

function emptyRow(section: Section, text: string): Row {
  return {
    key: `${section}//empty`,
    level: 2,
    height: 26,
    label: text,
    position: 1,
    siblings: 1,
    version: text,
    draw: (place) => void child(place, "span", "jc-lab-nothing", text),
  };
}

function drawItem(place: HTMLElement, key: string, shown: Shown, view: View): void {
  const mark = child(place, "span", `jc-lab-mark jc-lab-${shown.mark}`);
  mark.dataset.state = shown.state ?? "";
  mark.setAttribute("aria-hidden", "true");
  const middle = child(place, "div", "jc-lab-middle");
  if (shown.hint) middle.title = shown.hint;
  const first = child(middle, "div", "jc-lab-first");
  child(first, "span", "jc-lab-name", shown.title);
  if (shown.badge) child(first, "span", "jc-lab-badge", shown.badge).dataset.health = shown.badge;
  child(first, "span", "jc-lab-right", shown.right);
  const second = child(middle, "div", "jc-lab-second");
  for (const link of shown.links ?? []) {
    if (!link.url) {
      child(second, "span", "jc-lab-port", link.text);
      continue;
    }
    const anchor = child(second, "a", "jc-lab-port", link.text);
    anchor.href = link.url;
    anchor.target = "_blank";
    anchor.rel = "noopener";
    anchor.title = `Open ${link.url}`;
    anchor.tabIndex = -1;
  }
  child(second, "span", "jc-lab-below", shown.below);
  drawQuick(place, key, [...(shown.quick ?? []), { action: "menu", label: "More", sign: "⋯" }], view);
}

function drawQuick(place: HTMLElement, key: string, buttons: Quick[], view: View): void {
  const quick = child(place, "div", "jc-lab-quick");
  quick.setAttribute("aria-hidden", "true"); // the row's menu has all of it
  for (const one of buttons) {
    const made = child(quick, "button", "jc-lab-quick-button", one.sign);
    made.type = "button";
    made.title = one.label;
    made.dataset.action = one.action;
    made.tabIndex = -1;
    made.addEventListener("click", (event) => {
      event.stopPropagation();
      view.press(key, one.action, made);
    });
  }
}
