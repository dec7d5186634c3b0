/** Words of command lines that the page writes. */

/** The registry of an image's name. */
export function registryOf(name: string): string {
  const [first = "", rest] = name.split("/", 2);
  return rest !== undefined && (/[.:]/.test(first) || first === "localhost") ? first : "docker.io";
}

/** A word for a shell, quoted if necessary. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
