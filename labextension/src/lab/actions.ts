/** The actions of the panel's entries. */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { InputDialog, type MainAreaWidget, Notification } from "@jupyterlab/apputils";
import type { NotebookPanel } from "@jupyterlab/notebook";
import { SplitPanel, TabPanel, type Widget } from "@lumino/widgets";

import { copy } from "../screen";
import type { Client } from "./client";
import { quoted, registryOf } from "./commandline";
import { askRun, attempt, confirm, logIn, prune, type Remedy, runCommand } from "./dialogs";
import { openFiles } from "./filesview";
import { openInspect, openView } from "./mainviews";
import { containerOf, nameOf } from "./menus";
import type { ContainersPanel } from "./panel";
import type {
  Action,
  BuildItem,
  ContainerItem,
  ImageItem,
  Items,
  ObjectKind,
  ProjectAction,
  RegistryItem,
  Section,
  ViewKind,
} from "./protocol";
import { openForecast, openSteps } from "./stepsview";

const DOING: Partial<Record<string, string>> = {
  start: "starting …",
  stop: "stopping …",
  restart: "restarting …",
  pause: "pausing …",
  unpause: "going on …",
};
const KINDS: Partial<Record<Section, ObjectKind>> = {
  containers: "container",
  images: "image",
  volumes: "volume",
  networks: "network",
};

const NOTEBOOK_7 = "Jupyter Notebook";
const STRIP = 120; // pixels: nothing can be read in less
const PLACED_MS = 100;
const LOAD = "%load_ext jupyter_containers";

export class ItemActions {
  panel: ContainersPanel | null = null;

  constructor(private readonly app: JupyterFrontEnd) {}

  show(widget: MainAreaWidget): void {
    // A view that is shown again replaces the previous one.
    for (const area of ["main", "down"]) {
      for (const other of this.app.shell.widgets(area)) if (other.id === widget.id && other !== widget) other.dispose();
      // A page of Notebook 7 has room only for its notebook: other views are shown below it.
      if (!widget.isAttached) this.app.shell.add(widget, area);
    }
    this.app.shell.activateById(widget.id);
    bringUp(widget);
  }

  async act(client: Client, section: Section, item: Items[Section], action: string): Promise<void> {
    const name = nameOf(section, item);
    if (action === "copy-id") {
      copy(item.id);
      Notification.info(`copied the ID of ${name}`, { autoClose: 2000 });
      return;
    }
    if (action === "inspect") {
      const what = KINDS[section];
      const found = what && (await attempt("Inspect", () => client.call({ do: "inspect", what, name: item.id })));
      if (found) this.show(openInspect(name, found));
      return;
    }
    if (action === "remove") return this.remove(client, section, item, name);
    if (section === "containers") return this.container(client, item as ContainerItem, action);
    if (section === "images") return this.image(client, item as ImageItem, action);
    if (section === "registries") return this.registry(client, item as RegistryItem, action);
    if (action === "layers") return this.view(client, "layers", (item as BuildItem).image);
    if (action === "steps") return this.steps(client, item as BuildItem);
  }

  async view(client: Client, kind: ViewKind, name: string): Promise<void> {
    const widget = await attempt(kind, () => openView(client, kind, name));
    if (widget) this.show(widget);
  }

  /** Show the steps of a build: which were cached, and why the others were not. */
  async steps(client: Client, build: BuildItem): Promise<void> {
    const steps = await attempt("Steps", () => client.call({ do: "build_steps", build: build.id }));
    if (steps) this.show(openSteps(build, steps));
  }

  /** Show which steps of a cell are cached now. */
  async forecast(client: Client, source: string, cell: string, name: string): Promise<void> {
    const steps = await attempt("Explain the cache", () => client.call({ do: "forecast", source, place: cell }));
    if (steps) this.show(openForecast(cell, name, steps));
  }

  async pull(client: Client): Promise<void> {
    const asked = await InputDialog.getText({ title: "Pull an image", label: "Name", placeholder: "python:3.11-slim" });
    const name = asked.value?.trim();
    if (name) await this.exchange(client, "Pull", name);
  }

  async actOnSection(client: Client, section: Section, action: string): Promise<void> {
    if (action === "pull") return this.pull(client);
    if (action === "prune") return prune(client);
    if (action === "login") return void (await logIn(client));
    if (action === "start-registry") return void (await runCommand(client, "Start a registry", "registry start"));
    const what = KINDS[section];
    if (action !== `create-${what}`) return;
    const asked = await InputDialog.getText({ title: `New ${what}`, label: "Name" });
    const name = asked.value?.trim();
    if (name) await runCommand(client, `New ${what} ${name}`, `${what} create ${quoted(name)}`);
  }

  /** Do something with all containers of a Compose project. */
  async actOnProject(client: Client, project: string, action: string): Promise<void> {
    if (action === "logs") return this.view(client, "project_logs", project);
    const sure =
      action !== "down" ||
      (await confirm(
        `Take ${project} down?`,
        "Its containers are stopped and removed, and its networks; its volumes stay.",
        "Down",
      ));
    if (!sure) return;
    const work = (): Promise<unknown> =>
      attempt(project, () => client.call({ do: "act_on_project", action: action as ProjectAction, project }));
    await this.panel?.whileProjectBusy(project, DOING[action] ?? "taking it down …", work);
  }

  /** Pull or push; if the registry requires credentials, offer to log in and continue. */
  private async exchange(client: Client, verb: "Pull" | "Push", name: string): Promise<void> {
    const again: Remedy = {
      label: "Log in…",
      after: "UnauthorizedError",
      execute: async () => {
        if (await logIn(client, registryOf(name))) await this.exchange(client, verb, name);
      },
    };
    await runCommand(client, `${verb} ${name}`, `${verb.toLowerCase()} ${quoted(name)}`, again);
  }

  private async container(client: Client, item: ContainerItem, action: string): Promise<void> {
    if (action === "logs" || action === "terminal") return this.view(client, action, item.id);
    if (action === "files") return this.show(openFiles(client, item));
    if (action === "commit") {
      const asked = await InputDialog.getText({
        title: `Save ${item.name} as an image`,
        label: "Name",
        text: `${item.name}:latest`,
      });
      if (asked.value) await runCommand(client, `Save ${item.name}`, `commit ${item.id} ${quoted(asked.value)}`);
      return;
    }
    const work = (): Promise<unknown> =>
      attempt(item.name, () => client.call({ do: "act", action: action as Action, id: item.id }));
    await this.panel?.whileBusy("containers", item.id, DOING[action] ?? `${action} …`, work);
  }

  private async image(client: Client, item: ImageItem, action: string): Promise<void> {
    const name = item.names[0] ?? item.id;
    if (action === "layers") return this.view(client, "layers", item.id);
    if (action === "run") {
      const line = await askRun(name);
      if (line) await runCommand(client, `Run ${name}`, line);
    } else if (action === "tag") {
      const asked = await InputDialog.getText({
        title: `One more name for ${name}`,
        label: "Name",
        placeholder: "registry/repository:tag",
      });
      const given = asked.value?.trim();
      if (given) await attempt("Tag", () => client.call({ do: "tag", image: item.id, name: given }));
    } else if (action === "push") {
      const asked = await InputDialog.getItem({
        title: "Push an image",
        label: "Name",
        items: item.names,
        editable: false,
      });
      if (asked.value) await this.exchange(client, "Push", asked.value);
    }
  }

  private async registry(client: Client, item: RegistryItem, action: string): Promise<void> {
    const container = containerOf(client, item);
    if (action === "logs" && container) return this.view(client, "logs", container.id);
    if (action === "repositories") {
      const text = await runCommand(client, `Look into ${item.id}`, `registry ls ${quoted(item.id)}`);
      if (text !== undefined) this.show(openInspect(item.id, { repositories: text.split("\n") }));
    } else if (action === "login") {
      await logIn(client, item.id);
    } else if (action === "logout") {
      await runCommand(client, `Log out of ${item.id}`, `logout ${quoted(item.id)}`);
    } else if (action === "stop-registry") {
      const sure = await confirm(
        `Stop the registry ${item.id}?`,
        `Its container is removed; its images stay in the volume ${item.volume}.`,
        "Stop",
      );
      if (sure) await runCommand(client, `Stop ${item.id}`, `registry stop ${quoted(item.container)}`);
    }
  }

  private async remove(client: Client, section: Section, item: Items[Section], name: string): Promise<void> {
    const what = KINDS[section];
    if (!what) return;
    const { body, label } = question(section, item);
    if (!(await confirm(`Remove ${what} ${name}?`, body, label))) return;
    const target = section === "images" ? ((item as ImageItem).names.length === 1 ? name : item.id) : item.id;
    const force = section === "containers" || (section === "images" && (item as ImageItem).names.length > 1);
    const work = (): Promise<unknown> =>
      attempt(`Remove ${name}`, () => client.call({ do: "remove", what, name: target, force }));
    await this.panel?.whileBusy(section, item.id, "removing …", work);
  }

  /** Open a notebook in a new page; the user runs its first cell. */
  private async newPage(): Promise<void> {
    const { contents } = this.app.serviceManager;
    const cell = { cell_type: "code", id: "load", source: LOAD, metadata: {}, outputs: [], execution_count: null };
    const kernelspec = { name: "python3", display_name: "Python 3" };
    const content = { cells: [cell], metadata: { kernelspec }, nbformat: 4, nbformat_minor: 5 };
    await attempt("New notebook", async () => {
      const { path } = await contents.newUntitled({ type: "notebook" });
      await contents.save(path, { type: "notebook", format: "json", content });
      await this.app.commands.execute("docmanager:open", { path });
    });
  }

  async newNotebook(): Promise<void> {
    if (this.app.name === NOTEBOOK_7) return this.newPage();
    const panel = (await this.app.commands.execute("notebook:create-new", { kernelName: "python3" })) as NotebookPanel;
    await panel.context.ready;
    await panel.revealed;
    const first = panel.content.model?.cells.get(0);
    first?.sharedModel.setSource(LOAD);
    await panel.sessionContext.ready;
    await this.app.commands.execute("notebook:run-cell-and-select-next");
  }
}

/** Notebook 7 shows views below a notebook as a strip, the first of several on top. */
function bringUp(widget: Widget): void {
  const tabs = widget.parent?.parent;
  if (!(tabs instanceof TabPanel)) return;
  tabs.currentWidget = widget;
  const split = tabs.parent;
  // Only after it was placed: a hidden element has no size that could change.
  setTimeout(() => {
    if (split instanceof SplitPanel && tabs.node.offsetHeight < STRIP) split.setRelativeSizes([3, 2]);
  }, PLACED_MS);
}

function question(section: Section, item: Items[Section]): { body: string; label: string } {
  if (section === "containers") {
    const running = (item as ContainerItem).state === "running";
    return {
      body: `${running ? "It is running and will be stopped. " : ""}Files that exist only in it will be lost.`,
      label: running ? "Stop and remove" : "Remove",
    };
  }
  if (section === "images") {
    const { names } = item as ImageItem;
    return {
      body:
        names.length > 1
          ? `It will be removed with all of its names: ${names.join(", ")}.`
          : "Layers that no other image uses will be removed too.",
      label: "Remove",
    };
  }
  return { body: section === "volumes" ? "Its files will be lost." : "", label: "Remove" };
}
