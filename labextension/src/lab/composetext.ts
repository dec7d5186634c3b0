/** Compose files by their names and cells by their magic, and the text of them to check. */
import { beginsWith, type Checked, partsOf } from "./writing";

const MAGIC = "%%compose";

/** The names of Compose files: compose.yaml, docker-compose.override.yml, compose.dev.yaml. */
export const FILE = /^(docker-)?compose(\.[\w-]+)*\.ya?ml$/i;

/** Whether a cell's source is a Compose file. */
export function isComposeCell(source: string): boolean {
  return beginsWith(source, MAGIC);
}

/** Return the text to check; null if it cannot be checked. */
export function checked(source: string): Checked | null {
  if (!isComposeCell(source)) return source.trim() ? { text: source, added: 0 } : null;
  const { magic, body, above } = partsOf(source);
  // The kernel evaluates expressions in braces only when the cell runs.
  if (/\s--interpolate\b/.test(magic) || !body.trim()) return null;
  return { text: body, added: -above };
}
