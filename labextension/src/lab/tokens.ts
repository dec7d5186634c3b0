/** The services that plugins of this extension provide to each other. */
import { Token } from "@lumino/coreutils";

import type { Follower } from "./follow";

export const IFollower = new Token<Follower>(
  "jupyter-containers-engine:IFollower",
  "The connection of the current notebook to its kernel's engine.",
);
