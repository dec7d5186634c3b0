// @vitest-environment node
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";

// A page has many bundles: a rule of one must not reach what another one draws.  So each style sheet has a prefix
// of its own, which its name says, and everything in it that has a name begins with that.
const SOURCE = join(__dirname, "../src");
const sheets = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".css"));
const code = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => [path, readFileSync(join(SOURCE, path), "utf8")] as const);
const read = (path: string): string => readFileSync(join(SOURCE, path), "utf8").replaceAll(/\/\*.*?\*\//gs, "");
const prefixOf = (path: string): string => `jc-${basename(path, ".css")}`;

/** The selectors of a style sheet, those inside of `@media` too. */
function selectors(css: string): string[] {
  const frames = css.replaceAll(/@keyframes [^{]+\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}/g, "");
  return [...frames.matchAll(/([^{}]+)\{/g)].map((match) => match[1]!.trim()).filter((text) => !text.startsWith("@"));
}

function classes(selector: string): string[] {
  return [...selector.matchAll(/\.(-?[_a-zA-Z][\w-]*)/g)].map((match) => match[1]!);
}

function isOwn(name: string, prefix: string): boolean {
  return name === prefix || name.startsWith(`${prefix}-`);
}

test("there are style sheets, and no two have one prefix", () => {
  expect(sheets.length).toBeGreaterThan(5);
  const prefixes = sheets.map(prefixOf);
  for (const one of prefixes) expect(prefixes.filter((other) => isOwn(one, other))).toEqual([one]);
});

test.each(sheets)("every class of %s has the prefix of its sheet", (path) => {
  const prefix = prefixOf(path);
  for (const selector of selectors(read(path)).flatMap((text) => text.split(","))) {
    const names = classes(selector);
    expect(
      names.some((name) => isOwn(name, prefix)),
      selector,
    ).toBe(true);
    // What xterm.js makes inside of a screen has its names.
    const foreign = names.filter((name) => !isOwn(name, prefix) && !(prefix === "jc-screen" && /^xterm/.test(name)));
    expect(foreign, selector).toEqual([]);
  }
});

test.each(sheets)("every animation of %s has the prefix of its sheet", (path) => {
  for (const match of read(path).matchAll(/@keyframes ([\w-]+)/g)) expect(match[1]).toMatch(prefixOf(path));
});

test("code has no style sheets of its own beside them", () => {
  for (const [path, text] of code) {
    for (const match of text.matchAll(/addStyle\([\w.]+, ([^)]*)\)/g)) expect(match[1], path).toMatch(/css$/i);
    if (path !== "frame.ts") expect(text, path).not.toContain('createElement("style")');
  }
});

test("every class that the code gives is in a style sheet, or is a handle for code and tests", () => {
  const known = new Set(sheets.flatMap((path) => classes(selectors(read(path)).join(" "))));
  for (const match of code
    .map(([, text]) => text)
    .join("\n")
    .matchAll(/"\.(jc-[\w-]+)/g))
    known.add(match[1]!);
  const handles = ["jc-lab-menu", "jc-lab-path", "jc-lab-row-", "jc-lab-", "jc-layers-same", "jc-layers-"];
  const given = code.flatMap(([path, text]) =>
    [...text.matchAll(/(?<![\w.-])jc-[\w-]+/g)].map((match) => [match[0], path] as const),
  );
  const loose = given.filter(([name]) => !known.has(name) && !handles.includes(name));
  expect(loose.filter(([name]) => !name.startsWith("jc-lab-level"))).toEqual([]);
});
