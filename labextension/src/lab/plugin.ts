/** The plugin of the panel: its place, commands, launcher, running sessions, settings. */
import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { ILauncher } from "@jupyterlab/launcher";
import { INotebookTracker } from "@jupyterlab/notebook";
import { IRunningSessionManagers } from "@jupyterlab/running";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { ItemActions } from "./actions";
import { addCommands } from "./commands";
import { prune } from "./dialogs";
import { Follower } from "./follow";
import { containerUrl } from "./icons";
import { ContainersPanel } from "./panel";
import type { Section } from "./protocol";
import { runningContainers } from "./runningcontainers";
import { IFollower } from "./tokens";

const ID = "jupyter-containers-engine:panel";

export const containers: JupyterFrontEndPlugin<Follower> = {
  id: ID,
  description: "A panel of containers, images and what belongs to them.",
  autoStart: true,
  provides: IFollower,
  requires: [INotebookTracker],
  optional: [ILayoutRestorer, ICommandPalette, ILauncher, IRunningSessionManagers, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    sessions: IRunningSessionManagers | null,
    settings: ISettingRegistry | null,
  ) => {
    const follower = new Follower(tracker);
    const actions = new ItemActions(app);
    const panel = new ContainersPanel(follower, {
      act: (client, section, item, action) => actions.act(client, section, item, action),
      actOnSection: (client, section, action) => actions.actOnSection(client, section, action),
      actOnProject: (client, project, action) => actions.actOnProject(client, project, action),
      prune,
      pull: (client) => actions.pull(client),
      newNotebook: () => actions.newNotebook(),
      keepFolded: (sections) => void settings?.set(ID, "folded", sections).catch(() => undefined),
    });
    actions.panel = panel;
    app.shell.add(panel, "left", { rank: 550, type: "Containers" });
    restorer?.add(panel, "jupyter-containers");
    addCommands(app, tracker, follower, actions, palette);
    launcher?.add({ command: "containers:new-notebook", category: "Notebook", rank: 10, kernelIconUrl: containerUrl });
    sessions?.add(runningContainers(follower, actions));
    if (settings) void useSettings(settings, follower, panel);
    return follower;
  },
};

async function useSettings(registry: ISettingRegistry, follower: Follower, panel: ContainersPanel): Promise<void> {
  const settings = await registry.load(ID);
  const use = (): void => {
    follower.checks = settings.get("checks").composite as boolean;
    panel.usage = settings.get("usage").composite as boolean;
    panel.foldedSections = settings.get("folded").composite as Section[];
  };
  settings.changed.connect(use);
  use();
}
