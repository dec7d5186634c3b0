// Bundles every widget into one module each, with nothing to fetch at run time, and the source of
// the JupyterLab extension into the one module that jupyter-builder makes the extension of.
//
//   node build.mjs [--watch]        writes ../jupyter_containers/widgets/static/
//   node build.mjs --lab            writes lib/index.js

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, context } from "esbuild";

const source = "src/widgets";
const target = "../jupyter_containers/widgets/static";
const common = {
  bundle: true,
  format: "esm",
  target: "es2022",
  legalComments: "none", // the licences stand in licenses.txt, complete
  loader: { ".css": "text", ".svg": "text" },
  metafile: true,
  logLevel: "warning",
};
const widgets = {
  ...common,
  entryPoints: readdirSync(source)
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(source, name)),
  outdir: target,
  minify: true,
};
// Packages that jupyter-builder bundles, and lists with their licences; their style sheets are text here.
const packages = {
  name: "packages",
  setup: (build) => build.onResolve({ filter: /^@xterm\/[\w-]+$/ }, ({ path }) => ({ path, external: true })),
};
const lab = {
  ...common,
  entryPoints: ["src/lab/index.ts"],
  outfile: "lib/index.js",
  // JupyterLab has these, and only one copy of each may be in a page.
  plugins: [packages],
  external: ["@jupyterlab/*", "@lumino/*", "@codemirror/*", "@lezer/*"],
};

/** Write the licences of the packages that ended up in a bundle. */
function writeLicences(metafile) {
  const packages = new Set();
  for (const path of Object.keys(metafile.inputs)) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path);
    if (found) packages.add(found[1]);
  }
  const parts = [...packages].sort().map((name) => {
    const folder = join("node_modules", name);
    const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = ["LICENSE", "LICENSE.md", "LICENSE.txt"].find((item) => existsSync(join(folder, item)));
    const text = file ? readFileSync(join(folder, file), "utf8") : `Licence: ${about.license}\n`;
    return `${name} ${about.version}\n\n${text}`;
  });
  writeFileSync(join(target, "licenses.txt"), parts.join(`\n${"-".repeat(72)}\n\n`));
}

mkdirSync(target, { recursive: true });
if (process.argv.includes("--watch")) {
  await (await context(widgets)).watch();
} else if (process.argv.includes("--lab")) {
  await build(lab);
} else {
  writeLicences((await build(widgets)).metafile);
}
