/** A container's state, in the kernel's words. */
import { AGE } from "../facts";
import { duration } from "../quantities";
import type { ContainerItem } from "./protocol";

/** The words of `ps` for a container's state, at the time `now` (seconds since the epoch). */
export function status(item: ContainerItem, now: number): string {
  return item.status.replace(AGE, duration(now - item.since));
}

export function alive(item: ContainerItem): boolean {
  return ["running", "paused", "restarting"].includes(item.state);
}
