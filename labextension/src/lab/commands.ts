/** The commands: in the palette, in the toolbar of Dockerfile cells, for a notebook's Dockerfile. */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { type ICommandPalette, Notification } from "@jupyterlab/apputils";
import { PathExt } from "@jupyterlab/coreutils";
import type { INotebookTracker } from "@jupyterlab/notebook";
import type { LabIcon } from "@jupyterlab/ui-components";
import type { ItemActions } from "./actions";
import type { Client } from "./client";
import { quoted } from "./commandline";
import { attempt, logIn, prune, runCommand } from "./dialogs";
import { imageName, isDockerfileCell } from "./dockerfiletext";
import type { Follower } from "./follow";
import { buildIcon, buildRunIcon, containerIcon, explainIcon } from "./icons";
import type { BuildItem } from "./protocol";

const BUILD_TOLD_MS = 3000;

interface Offer {
  label: string;
  /** A longer name for the command palette, if needed. */
  full?: string;
  icon?: LabIcon;
  execute(): unknown;
  isEnabled?(): boolean;
  isVisible?(): boolean;
}

export function addCommands(
  app: JupyterFrontEnd,
  tracker: INotebookTracker,
  follower: Follower,
  actions: ItemActions,
  palette: ICommandPalette | null,
): void {
  const add = (id: string, { label, full, icon, execute, isEnabled, isVisible }: Offer): void => {
    app.commands.addCommand(id, {
      label: (args) => (args.toolbar ? "" : args.isPalette ? (full ?? label) : label),
      caption: label,
      icon: icon ?? containerIcon,
      execute,
      ...(isEnabled ? { isEnabled } : {}),
      ...(isVisible ? { isVisible } : {}),
    });
    palette?.addItem({ command: id, category: "Containers", args: { isPalette: true } });
  };
  const withClient = (act: (client: Client) => Promise<unknown>) => () => follower.client && act(follower.client);
  const hasLine = (): boolean => follower.client?.state === "open";
  add("containers:show", { label: "Show Containers", execute: () => app.shell.activateById("jupyter-containers") });
  add("containers:new-notebook", { label: "New Notebook with Containers", execute: () => actions.newNotebook() });
  add("containers:login", {
    label: "Log In to a Registry…",
    execute: withClient((client) => logIn(client)),
    isEnabled: hasLine,
  });
  add("containers:pull", {
    label: "Pull an Image…",
    execute: withClient((client) => actions.pull(client)),
    isEnabled: hasLine,
  });
  add("containers:prune", { label: "Remove Unused Objects…", execute: withClient(prune), isEnabled: hasLine });
  add("containers:notebook-dockerfile", {
    label: "Dockerfile from This Notebook",
    execute: withClient((client) => writeDockerfile(app, follower, client)),
    isEnabled: hasLine,
  });
  const source = (): string => tracker.activeCell?.model.sharedModel.getSource() ?? "";
  const isVisible = (): boolean => isDockerfileCell(source());
  const cells = new CellCommands(app, tracker, follower, actions);
  add("containers:build-cell", {
    label: "Build",
    full: "Build the Dockerfile Cell",
    icon: buildIcon,
    isVisible,
    execute: () => cells.build(),
  });
  add("containers:build-and-run-cell", {
    label: "Build and run",
    full: "Build the Dockerfile Cell and Run It",
    icon: buildRunIcon,
    isVisible,
    isEnabled: hasLine,
    execute: () => cells.buildAndRun(),
  });
  add("containers:explain-cell", {
    label: "Explain the cache",
    full: "Explain the Cache of the Dockerfile Cell",
    icon: explainIcon,
    isVisible,
    isEnabled: hasLine,
    execute: () => cells.explain(),
  });
  follower.changed.connect(() => app.commands.notifyCommandChanged());
  // Any key can make a cell a Dockerfile or not: check after a pause.
  let timer = 0;
  const soon = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      for (const name of ["build", "build-and-run", "explain"]) {
        app.commands.notifyCommandChanged(`containers:${name}-cell`);
      }
    }, 100);
  };
  tracker.activeCellChanged.connect((_, cell) => {
    soon();
    cell?.model.contentChanged.connect(soon);
  });
}

class CellCommands {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly tracker: INotebookTracker,
    private readonly follower: Follower,
    private readonly actions: ItemActions,
  ) {}

  async build(): Promise<void> {
    await this.app.commands.execute("notebook:run-cell");
  }

  async buildAndRun(): Promise<void> {
    const cell = this.tracker.activeCell;
    const { client } = this.follower;
    if (!cell || client?.state !== "open") return;
    const before = new Set(client.list("builds").map((item) => item.id));
    await this.build();
    const build = await this.newBuild(client, cell.model.id, before);
    if (!build) {
      Notification.warning("The cell has not built an image.", { autoClose: 5000 });
      return;
    }
    if (build.outcome !== "done") return; // the cell shows why
    const image = imageName(cell.model.sharedModel.getSource()) || build.image;
    const known = new Set(client.list("containers").map((item) => item.id));
    const id = await runCommand(client, `Run ${image}`, `run -d ${quoted(image)}`);
    const container = client
      .list("containers")
      .find((item) => !known.has(item.id) && (id ?? "").includes(item.id.slice(0, 12)));
    if (container) await this.actions.view(client, "logs", container.id);
  }

  async explain(): Promise<void> {
    const { client } = this.follower;
    const model = this.tracker.activeCell?.model;
    if (client?.state !== "open" || !model) return;
    const source = model.sharedModel.getSource();
    await this.actions.forecast(client, source, model.id, imageName(source) || "the cell");
  }

  /** The build of a cell that has just ended: the kernel reports it a moment later. */
  private newBuild(client: Client, cell: string, before: Set<string>): Promise<BuildItem | undefined> {
    const find = (): BuildItem | undefined => {
      const last = lastBuild(client, cell);
      return last && !before.has(last.id) ? last : undefined;
    };
    return new Promise((resolve) => {
      const end = (): void => {
        client.changed.disconnect(look);
        clearTimeout(timer);
        resolve(find());
      };
      const look = (): void => {
        if (find()) end();
      };
      const timer = setTimeout(end, BUILD_TOLD_MS);
      client.changed.connect(look);
      look();
    });
  }
}

export function lastBuild(client: Client, cell: string): BuildItem | undefined {
  return client
    .list("builds")
    .filter((item) => item.place === cell)
    .sort((a, b) => b.started - a.started)[0];
}

/** Write a Dockerfile next to the notebook and open it; an existing one is not changed. */
async function writeDockerfile(app: JupyterFrontEnd, follower: Follower, client: Client): Promise<void> {
  const path = follower.notebook?.context.path;
  if (!path) return;
  await attempt("Dockerfile", async () => {
    const { text } = await client.call({ do: "notebook_dockerfile", notebook: path });
    const { contents } = app.serviceManager;
    const folder = PathExt.dirname(path);
    const taken = new Set(((await contents.get(folder)).content as { name: string }[]).map((item) => item.name));
    const stem = PathExt.basename(path, ".ipynb").replaceAll(/[^\w.-]+/g, "-");
    const names = [
      "Dockerfile",
      `Dockerfile.${stem}`,
      ...Array.from({ length: 99 }, (_, i) => `Dockerfile.${stem}-${i + 2}`),
    ];
    const name = names.find((one) => !taken.has(one))!;
    const target = PathExt.join(folder, name);
    await contents.save(target, { type: "file", format: "text", content: text });
    await app.commands.execute("docmanager:open", { path: target, factory: "Editor" });
  });
}
