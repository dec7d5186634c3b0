/** Times, sizes and states in the words of the command line. */
import type { ContainerItem } from "./protocol";

const STEPS: [number, string][] = [
  [60, "second"],
  [60, "minute"],
  [24, "hour"],
  [7, "day"],
  [4.35, "week"],
  [12, "month"],
];

/** `3 minutes`, `About an hour`: as long ago or as long as so many seconds are. */
export function duration(seconds: number): string {
  if (seconds < 1) return "less than a second";
  let value = seconds;
  for (const [size, word] of STEPS) {
    if (value < size) return plural(Math.floor(value), word);
    value /= size;
  }
  return plural(Math.floor(value), "year");
}

export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** Short, for a column: `0.4 s`, `12 s`, `3 min 20 s`. */
export function took(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** The words of `ps` for a container's state, at the time `now` (seconds since the epoch). */
export function status(item: ContainerItem, now: number): string {
  switch (item.state) {
    case "running":
      return `Up ${duration(now - item.started)}`;
    case "paused":
      return `Up ${duration(now - item.started)} (Paused)`;
    case "restarting":
      return `Restarting (${item.exit_code})`;
    case "exited": {
      const oom = item.oom_killed ? ", out of memory" : "";
      return `Exited (${item.exit_code}${oom}) ${duration(now - item.finished)} ago`;
    }
    default:
      return item.state.charAt(0).toUpperCase() + item.state.slice(1);
  }
}

export function alive(item: ContainerItem): boolean {
  return ["running", "paused", "restarting"].includes(item.state);
}

/** The registry that an image's name means. */
export function registryOf(name: string): string {
  const [first = "", rest] = name.split("/", 2);
  return rest !== undefined && (/[.:]/.test(first) || first === "localhost") ? first : "docker.io";
}

/** A word of a shell, quoted where it has to be. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
