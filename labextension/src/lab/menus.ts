/** The actions of an item: the entries of its menu, in groups. */
import type { Client } from "./client";
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
import { alive } from "./status";

export interface Action {
  name: string;
  label: string;
  enabled?: boolean;
  danger?: boolean;
}

/** The actions of a whole section. */
export const SECTION_ACTIONS: Record<Section, Action[]> = {
  containers: [{ name: "prune", label: "Remove unused objects…" }],
  images: [{ name: "pull", label: "Pull…" }],
  volumes: [{ name: "create-volume", label: "New volume…" }],
  networks: [{ name: "create-network", label: "New network…" }],
  builds: [],
  registries: [
    { name: "login", label: "Log in…" },
    { name: "start-registry", label: "Start a registry on this machine" },
  ],
};

/** Return the groups of actions of an item. */
export function actionsOf(section: Section, item: Items[Section]): Action[][] {
  switch (section) {
    case "containers":
      return container(item as ContainerItem);
    case "images":
      return image(item as ImageItem);
    case "volumes":
      return [
        [inspect, copy],
        [{ name: "remove", label: "Remove…", danger: true, enabled: !(item as VolumeItem).containers.length }],
      ];
    case "networks":
      return [
        [inspect, copy],
        [{ name: "remove", label: "Remove…", danger: true, enabled: !(item as NetworkItem).fixed }],
      ];
    case "builds":
      return [
        [
          {
            name: "steps",
            label: "Steps and cache",
            enabled: !["running", "killed"].includes((item as BuildItem).outcome),
          },
          { name: "layers", label: "Layers", enabled: Boolean((item as BuildItem).image) },
          { ...copy, enabled: Boolean((item as BuildItem).image) },
        ],
      ];
    case "registries":
      return registry(item as RegistryItem);
  }
}

function registry(item: RegistryItem): Action[][] {
  const local = Boolean(item.container);
  return [
    [
      { name: "repositories", label: "Repositories" },
      { name: "logs", label: "Logs", enabled: local },
    ],
    [
      item.credentials ? { name: "logout", label: "Log out" } : { name: "login", label: "Log in…" },
      { name: "stop-registry", label: "Stop and remove…", danger: true, enabled: local },
    ],
  ];
}

const inspect: Action = { name: "inspect", label: "Inspect" };
const copy: Action = { name: "copy-id", label: "Copy ID" };

function container(item: ContainerItem): Action[][] {
  const running = item.state === "running";
  const up = alive(item);
  return [
    [
      up ? { name: "stop", label: "Stop" } : { name: "start", label: "Start" },
      { name: "restart", label: "Restart", enabled: up },
      item.state === "paused"
        ? { name: "unpause", label: "Unpause" }
        : { name: "pause", label: "Pause", enabled: running },
    ],
    [
      { name: "logs", label: "Logs" },
      { name: "terminal", label: "Terminal", enabled: running },
      { name: "files", label: "Files" },
      inspect,
    ],
    [{ name: "commit", label: "Save as image…" }, copy],
    [{ name: "remove", label: "Remove…", danger: true }],
  ];
}

function image(item: ImageItem): Action[][] {
  const named = item.names.length > 0;
  return [
    [{ name: "run", label: "Run…" }, { name: "layers", label: "Layers" }, inspect],
    [{ name: "tag", label: "Tag…" }, { name: "push", label: "Push…", enabled: named }, copy],
    [{ name: "remove", label: "Remove…", danger: true }],
  ];
}

/** The name of an item in questions. */
export function nameOf(section: Section, item: Items[Section]): string {
  if (section === "containers" || section === "networks") return (item as ContainerItem).name;
  if (section === "images") return (item as ImageItem).names[0] ?? item.id.slice(7, 19);
  return item.id;
}

/** The container of a registry, as an item of its own section. */
export function containerOf(client: Client, item: RegistryItem): ContainerItem | undefined {
  return client.list("containers").find((one) => one.name === item.container);
}
