/** Containers by the project of the Compose file that they belong to. */
import type { Action } from "./menus";
import type { ContainerItem } from "./protocol";
import { alive } from "./status";

export interface Project {
  name: string;
  members: ContainerItem[];
}

const PREFIX = "project/";

export function projectKey(name: string): string {
  return PREFIX + name;
}

/** The project that a row's key means, if it means one. */
export function projectOf(key: string): string | null {
  return key.startsWith(PREFIX) ? key.slice(PREFIX.length) : null;
}

/** Return the projects of containers by name; the order of their containers stays. */
export function grouped(items: readonly ContainerItem[]): Project[] {
  const found = new Map<string, Project>();
  for (const item of items) {
    if (!item.project) continue;
    const known = found.get(item.project);
    if (known) known.members.push(item);
    else found.set(item.project, { name: item.project, members: [item] });
  }
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name));
}

/** What can be done with a project, in groups. */
export function actionsOfProject({ members }: Project): Action[][] {
  const up = members.some(alive);
  return [
    [
      { name: "start", label: "Start", enabled: !members.every(alive) },
      { name: "stop", label: "Stop", enabled: up },
      { name: "restart", label: "Restart", enabled: up },
    ],
    [{ name: "logs", label: "Logs" }],
    [{ name: "down", label: "Down…", danger: true }],
  ];
}
