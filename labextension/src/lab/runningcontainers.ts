/** Running containers in JupyterLab's panel of running sessions. */
import type { IRunningSessions } from "@jupyterlab/running";
import { type ISignal, Signal } from "@lumino/signaling";
import type { ItemActions } from "./actions";
import type { Client } from "./client";
import { attempt } from "./dialogs";
import type { Follower } from "./follow";
import { containerIcon } from "./icons";
import { alive } from "./status";

class Running implements IRunningSessions.IManager {
  readonly name = "Containers";
  readonly shutdownLabel = "Stop";
  readonly shutdownAllLabel = "Stop All";
  readonly shutdownAllConfirmationText = "Are you sure you want to stop all running containers?";
  private client: Client | null = null;
  private readonly signal = new Signal<Running, void>(this);

  constructor(
    private readonly follower: Follower,
    private readonly actions: ItemActions,
  ) {
    follower.changed.connect(() => {
      if (follower.client !== this.client) {
        this.client = follower.client;
        this.client?.changed.connect((_, section) => {
          if (section === "containers") this.signal.emit();
        });
      }
      this.signal.emit();
    });
  }

  get runningChanged(): ISignal<Running, void> {
    return this.signal;
  }

  running(): IRunningSessions.IRunningItem[] {
    const { client } = this.follower;
    if (client?.state !== "open") return [];
    return client
      .list("containers")
      .filter(alive)
      .map((item) => ({
        label: () => item.name,
        labelTitle: () => `${item.name}\n${item.image}\n${item.command}`,
        detail: () => item.image,
        icon: () => containerIcon,
        open: () => void this.actions.act(client, "containers", item, "logs"),
        shutdown: () => void this.actions.act(client, "containers", item, "stop"),
      }));
  }

  shutdownAll(): void {
    const { client } = this.follower;
    for (const item of client?.list("containers").filter(alive) ?? []) {
      void attempt(item.name, () => client!.call({ do: "act", action: "stop", id: item.id }));
    }
  }

  // The kernel sends changes, so there is nothing to request.
  refreshRunning(): void {}
}

export function runningContainers(follower: Follower, actions: ItemActions): IRunningSessions.IManager {
  return new Running(follower, actions);
}
