/** The positions of instructions in the text of a Dockerfile, in a file or in a cell. */
import { INSTRUCTIONS } from "../facts";
import { beginsWith, type Checked, partsOf } from "./writing";

const CONTINUED = /\\\s*$/;

/** The instruction that begins on a line, if any: its keyword and its position. */
export function keywordAt(
  lines: readonly string[],
  number: number,
): { keyword: string; from: number; to: number } | null {
  const line = lines[number] ?? "";
  const match = /^(\s*)(?:ONBUILD\s+)?([A-Za-z]+)(?=\s|$)/.exec(line);
  if (!match || isContinuation(lines, number)) return null;
  const keyword = match[2]!.toUpperCase();
  if (!(keyword in INSTRUCTIONS)) return null;
  return { keyword, from: match[1]!.length, to: match[0].length };
}

function isContinuation(lines: readonly string[], number: number): boolean {
  let above = number - 1;
  while (above >= 0 && /^\s*#/.test(lines[above]!)) above--;
  return above >= 0 && CONTINUED.test(lines[above]!);
}

const MAGIC = "%%dockerfile";

/** Whether a cell's source is a Dockerfile. */
export function isDockerfileCell(source: string): boolean {
  return beginsWith(source, MAGIC);
}

/** Return the text to check; null if it cannot be checked. */
export function checked(source: string): Checked | null {
  if (!isDockerfileCell(source)) return source.trim() ? { text: source, added: 0 } : null;
  const { magic, body, above } = partsOf(source);
  // The kernel evaluates expressions in braces only when the cell runs.
  if (/\s--interpolate\b/.test(magic) || !body.trim()) return null;
  // A cell that continues another has no FROM: an unknown image replaces the magic.
  if (/\s--continue\b/.test(magic)) return { text: `FROM the-cell-before.invalid/image\n${body}`, added: 1 - above };
  return { text: body, added: -above };
}

/** The name that a cell's magic line gives its image (`-t`), empty without one. */
export function imageName(source: string): string {
  const first = source.trimStart().split("\n", 1)[0] ?? "";
  return /\s(?:-t|--tag)[\s=]*(\S+)/.exec(first)?.[1] ?? "";
}
