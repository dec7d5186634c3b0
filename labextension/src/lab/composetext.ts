/** Whether a text is a Compose file, in a file or in a cell, and what of it is checked. */
import { beginsWith, type Checked, partsOf } from "./writing";

const MAGIC = "%%compose";

/** The names of Compose files: compose.yaml, docker-compose.override.yml, compose.dev.yaml. */
export const FILE = /^(docker-)?compose(\.[\w-]+)*\.ya?ml$/i;

/** Whether a cell's source is a Compose file. */
export function isComposeCell(source: string): boolean {
  return beginsWith(source, MAGIC);
}

/** Return what is to be checked; null where nothing can be said. */
export function checked(source: string): Checked | null {
  if (!isComposeCell(source)) return source.trim() ? { text: source, added: 0 } : null;
  const { magic, body, above } = partsOf(source);
  // What stands in braces is known to the kernel only when the cell is run.
  if (/\s--interpolate\b/.test(magic) || !body.trim()) return null;
  return { text: body, added: -above };
}
