/** Words of command lines that the page writes. */

/** The registry that an image's name means. */
export function registryOf(name: string): string {
  const [first = "", rest] = name.split("/", 2);
  return rest !== undefined && (/[.:]/.test(first) || first === "localhost") ? first : "docker.io";
}

/** A word of a shell, quoted where it has to be. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
