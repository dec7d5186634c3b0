/** What plugins of this extension have from each other. */
import { Token } from "@lumino/coreutils";

import type { Follower } from "./follow";

export const IFollower = new Token<Follower>(
  "jupyter-containers-engine:IFollower",
  "The connection of the current notebook to its kernel's engine.",
);
