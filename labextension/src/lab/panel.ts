/** The side panel "Containers": the objects of the current notebook's kernel, as one tree. */

import { CommandRegistry } from "@lumino/commands";
import type { Message } from "@lumino/messaging";
import { Menu, Widget } from "@lumino/widgets";

import { addStyle, child } from "../frame";
import type { Client } from "./client";
import type { Follower } from "./follow";
import { containerIcon } from "./icons";
import css from "./lab.css";
import { type Action, actionsOf, SECTION_ACTIONS } from "./menus";
import { actionsOfProject, grouped, projectKey, projectOf } from "./projects";
import type { Items, Section } from "./protocol";
import { itemOf, keyOf, rowsOf } from "./rows";
import { Tree } from "./tree";

const TICK_MS = 1000;
const SEEN_TICKS = 30;

/** The panel's requests to other parts. */
export interface PanelActions {
  act(client: Client, section: Section, item: Items[Section], action: string): Promise<void>;
  actOnSection(client: Client, section: Section, action: string): Promise<void>;
  actOnProject(client: Client, project: string, action: string): Promise<void>;
  prune(client: Client): Promise<void>;
  pull(client: Client): Promise<void>;
  newNotebook(): Promise<void>;
  /** The user has folded or unfolded a section. */
  keepFolded(sections: Section[]): void;
}

export class ContainersPanel extends Widget {
  private readonly tree: Tree;
  private readonly empty: HTMLElement;
  private readonly tools: HTMLElement;
  private readonly foot: HTMLElement;
  private readonly filter: HTMLInputElement;
  private readonly folded = new Set<Section>();
  private readonly foldedProjects = new Set<string>();
  private readonly busy = new Map<string, string>();
  private client: Client | null = null;
  private timer = 0;
  private frame = 0;
  private problem = "";
  private wantsUsage = true;

  constructor(
    private readonly follower: Follower,
    private readonly actions: PanelActions,
  ) {
    super();
    this.id = "jupyter-containers";
    this.title.icon = containerIcon;
    this.title.caption = "Containers";
    this.addClass("jc-lab-panel");
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", "Containers");
    addStyle(this.node, css);
    const head = child(this.node, "div", "jc-lab-panel-head");
    child(head, "h2", "", "Containers");
    this.tools = child(this.node, "div", "jc-lab-panel-tools");
    this.filter = child(this.tools, "input", "jc-lab-filter");
    this.filter.type = "search";
    this.filter.placeholder = "Filter";
    this.filter.setAttribute("aria-label", "Filter by name, image, state or ID");
    this.filter.addEventListener("input", () => this.drawSoon());
    this.filter.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      this.tree.node.focus();
      event.preventDefault();
    });
    this.tool("Pull…", "Pull an image from a registry", (client) => this.actions.pull(client));
    this.tool("Prune…", "Remove unused objects, after a preview", (client) => this.actions.prune(client));
    this.tree = new Tree(this.node, "Containers, images and what belongs to them", {
      toggle: (key, open) => this.toggle(key, open),
      act: (key) => this.open(key),
      menu: (key, x, y) => this.openMenu(key, x, y),
    });
    this.empty = child(this.node, "div", "jc-lab-panel-empty");
    this.foot = child(this.node, "div", "jc-lab-panel-foot");
    this.foot.setAttribute("role", "status");
    follower.changed.connect(() => this.takeClient());
    document.addEventListener("visibilitychange", () => this.tellVisible());
    this.takeClient();
  }

  /** Sections that are folded (a setting). */
  set foldedSections(sections: Section[]) {
    this.folded.clear();
    for (const section of sections) this.folded.add(section);
    this.drawSoon();
  }

  /** Whether the usage of containers is measured (a setting). */
  set usage(wanted: boolean) {
    this.wantsUsage = wanted;
    // Values that are no longer measured would never change.
    if (this.client) this.client.takesUsage = wanted;
    if (!wanted) this.client?.usage.clear();
    this.tellVisible();
    this.drawSoon();
  }

  /** Show the action on an item until it has ended. */
  async whileBusy(section: Section, id: string, words: string, work: () => Promise<unknown>): Promise<void> {
    return this.whileRowBusy(keyOf(section, id), words, work);
  }

  /** The same for a project. */
  async whileProjectBusy(project: string, words: string, work: () => Promise<unknown>): Promise<void> {
    return this.whileRowBusy(projectKey(project), words, work);
  }

  private async whileRowBusy(key: string, words: string, work: () => Promise<unknown>): Promise<void> {
    this.busy.set(key, words);
    this.drawSoon();
    try {
      await work();
    } finally {
      this.busy.delete(key);
      this.drawSoon();
    }
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.tellVisible();
    this.draw();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.tellVisible();
  }

  protected override onActivateRequest(): void {
    if (this.tree.node.hidden) this.empty.querySelector("button")?.focus();
    else this.tree.node.focus();
  }

  override dispose(): void {
    clearInterval(this.timer);
    super.dispose();
  }

  private tool(label: string, hint: string, act: (client: Client) => Promise<void>): void {
    const made = child(this.tools, "button", "jc-lab-tool", label);
    made.type = "button";
    made.title = hint;
    made.addEventListener("click", () => {
      if (this.client) void act(this.client);
    });
  }

  private takeClient(): void {
    const { client } = this.follower;
    if (client !== this.client) {
      this.client = client;
      this.problem = "";
      this.busy.clear();
      client?.changed.connect(() => this.drawSoon());
    }
    this.node.dataset.connection = client?.state ?? "none";
    if (client?.state === "open") this.tellVisible();
    this.drawSoon();
  }

  /** Usage is measured and ages are redrawn only while the panel is visible. */
  private tellVisible(): void {
    const visible = this.isVisible && !document.hidden;
    clearInterval(this.timer);
    let ticks = 0;
    const tick = (): void => {
      this.drawSoon();
      if (++ticks % SEEN_TICKS === 0) this.sayVisible(true);
    };
    if (visible) this.timer = window.setInterval(tick, TICK_MS);
    this.sayVisible(visible);
  }

  private sayVisible(visible: boolean): void {
    if (this.client?.state === "open")
      this.client.call({ do: "watch", visible: visible && this.wantsUsage }).catch(() => undefined);
  }

  private toggle(key: string, open: boolean): void {
    const project = projectOf(key);
    if (project !== null) {
      if (open) this.foldedProjects.delete(project);
      else this.foldedProjects.add(project);
      this.draw();
      return;
    }
    const section = key as Section;
    if (open) this.folded.delete(section);
    else this.folded.add(section);
    this.draw();
    this.actions.keepFolded([...this.folded]);
  }

  private drawSoon(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private draw(): void {
    if (!this.isVisible) return;
    const { client } = this;
    const open = client?.state === "open" && client.known.size > 0;
    this.tree.node.hidden = this.tools.hidden = !open;
    this.tree.node.style.display = this.tools.style.display = open ? "" : "none";
    this.empty.style.display = open ? "none" : "";
    if (!client || !open) {
      this.drawEmpty();
      return;
    }
    this.empty.dataset.shown = "";
    this.tree.set(
      rowsOf(client, {
        filter: this.filter.value,
        folded: this.folded,
        foldedProjects: this.foldedProjects,
        now: Date.now() / 1000,
        busy: this.busy,
        press: (key, action, place) => this.press(key, action, place),
      }),
    );
    const running = client.list("containers").filter((item) => item.state === "running").length;
    this.say(`${running} running · ${this.follower.notebook?.context.localPath ?? ""}`, client.store);
  }

  private say(text: string, hint = ""): void {
    if (this.foot.textContent !== text) this.foot.textContent = text;
    this.foot.title = hint;
  }

  private drawEmpty(): void {
    const { place, client, notebook, loading } = this.follower;
    const name = notebook?.context.localPath ?? "";
    const state = `${place} ${client?.state} ${name} ${loading} ${this.problem} ${client?.trouble?.message}`;
    if (this.empty.dataset.shown === state) return;
    this.empty.dataset.shown = state;
    const focused = this.empty.contains(document.activeElement);
    this.empty.replaceChildren();
    const say = (text: string, kind = ""): void => void child(this.empty, "p", kind, text);
    const offer = (label: string, primary: boolean, act: () => Promise<unknown>, disabled = false): void => {
      const made = child(this.empty, "button", `jc-lab-tool${primary ? " jc-lab-primary" : ""}`, label);
      made.type = "button";
      made.disabled = disabled;
      made.addEventListener("click", () => {
        made.disabled = true;
        void act().finally(() => {
          made.disabled = false;
        });
      });
    };
    const newNotebook = (primary: boolean): void =>
      offer("New notebook with containers", primary, () => this.actions.newNotebook());
    if (place === "no-notebook") {
      say("Containers belong to a notebook's kernel, but no notebook is open.");
      newNotebook(true);
    } else if (place === "no-kernel") {
      say(`${name} has no kernel at the moment.`);
      newNotebook(false);
    } else if (place === "waiting") {
      say(`Waiting for the kernel of ${name} …`);
      say("A kernel that runs a cell answers at its end.");
    } else if (place === "unloaded") {
      say(`The kernel of ${name} has not loaded jupyter_containers.`);
      if (this.problem) say(this.problem, "jc-lab-problem");
      if (loading === "waiting") say("The kernel is busy: the extension loads when its cell has ended.");
      offer("Load extension", true, () => this.load(), loading !== "");
      newNotebook(false);
    } else if (client?.state === "refused") {
      say(client.trouble?.message ?? "The kernel refused the connection.", "jc-lab-problem");
      if (client.trouble?.hint) say(client.trouble.hint);
    } else if (client?.state === "closed") {
      say("The connection to the kernel has ended.");
    } else {
      say(`Connecting to the kernel of ${name} …`);
    }
    if (focused) this.empty.querySelector("button")?.focus();
    this.say("");
  }

  private async load(): Promise<void> {
    this.problem = await this.follower.load();
    this.drawSoon();
  }

  /** The default action of an item. */
  private open(key: string): void {
    const first: Record<Section, string> = {
      containers: "logs",
      images: "layers",
      volumes: "inspect",
      networks: "inspect",
      builds: "steps",
      registries: "repositories",
    };
    const { section, item } = this.find(key);
    if (item) this.act(section, item, first[section]);
  }

  private find(key: string): { section: Section; item: Items[Section] | undefined } {
    return this.client ? itemOf(this.client, key) : { section: key as Section, item: undefined };
  }

  private press(key: string, action: string, place: HTMLElement): void {
    const box = place.getBoundingClientRect();
    const project = projectOf(key);
    const { section, item } = this.find(key);
    if (action === "menu") this.openMenu(key, box.left, box.bottom);
    else if (project !== null) this.actOnProject(project, action);
    else if (item) this.act(section, item, action);
  }

  private act(section: Section, item: Items[Section], action: string): void {
    if (this.client) void this.actions.act(this.client, section, item, action);
  }

  private actOnProject(project: string, action: string): void {
    if (this.client) void this.actions.actOnProject(this.client, project, action);
  }

  private actOnSection(section: Section, action: string): void {
    if (this.client) void this.actions.actOnSection(this.client, section, action);
  }

  private actionsOfRow(key: string, section: Section, item: Items[Section] | undefined): Action[][] {
    return item ? actionsOf(section, item) : key === section ? [SECTION_ACTIONS[section]] : [];
  }

  private actionsOfProject(name: string): Action[][] {
    const project = grouped(this.client?.list("containers") ?? []).find((one) => one.name === name);
    return project ? actionsOfProject(project) : [];
  }

  private openMenu(key: string, x: number, y: number): void {
    const { section, item } = this.find(key);
    const name = projectOf(key);
    const groups = name !== null ? this.actionsOfProject(name) : this.actionsOfRow(key, section, item);
    if (!groups.flat().length) return;
    const commands = new CommandRegistry();
    const menu = new Menu({ commands });
    menu.addClass("jc-lab-menu");
    groups.forEach((group, index) => {
      if (index) menu.addItem({ type: "separator" });
      for (const action of group) {
        commands.addCommand(action.name, {
          label: action.label,
          isEnabled: () => action.enabled !== false,
          execute: () => {
            if (name !== null) this.actOnProject(name, action.name);
            else if (item) this.act(section, item, action.name);
            else this.actOnSection(section, action.name);
          },
        });
        menu.addItem({ command: action.name });
      }
    });
    // The menu returns the focus only to the element that had it.
    const { activeElement } = document;
    menu.aboutToClose.connect(() => {
      if (activeElement === this.tree.node) this.tree.node.focus();
      setTimeout(() => menu.dispose(), 500);
    });
    menu.open(x, y);
  }
}
