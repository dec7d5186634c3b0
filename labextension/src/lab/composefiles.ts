/** Compose files in cells (`%%compose`) and in files. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import type { CodeEditor } from "@jupyterlab/codeeditor";
import { EditorExtensionRegistry, IEditorExtensionRegistry, IEditorLanguageRegistry } from "@jupyterlab/codemirror";
import { PageConfig } from "@jupyterlab/coreutils";
import { IEditorTracker } from "@jupyterlab/fileeditor";
import { INotebookTracker } from "@jupyterlab/notebook";

import type { Client } from "./client";
import { checked, FILE, isComposeCell } from "./composetext";
import type { Follower } from "./follow";
import { IFollower } from "./tokens";
import { CellTypes, characters, extensions, type Help, type Language, partsOf, units } from "./writing";

const MIME = "text/x-compose";
const YAML = "text/x-yaml";

/** Ask the kernel what the key at a place means. */
async function help(source: string, line: number, column: number, client: Client | null): Promise<Help | null> {
  if (client?.state !== "open") return null;
  const written = source.split("\n")[line] ?? "";
  const above = isComposeCell(source) ? partsOf(source).above : 0;
  if (line < above) return null;
  const text = source.split("\n").slice(above).join("\n");
  const place = { line: line - above, column: characters(written, column) };
  try {
    const { title, words, forms, first_column, last_column } = await client.call({ do: "describe", text, ...place });
    if (!title) return null;
    return { title, words, forms, from: units(written, first_column), to: units(written, last_column) };
  } catch {
    return null; // the kernel went; the panel says so
  }
}

/** Files that are Compose files by their names: YAML with a type of its own. */
function addLanguage(languages: IEditorLanguageRegistry): void {
  const known = languages.findByMIME(YAML);
  if (!known?.load) return;
  const load = known.load.bind(known);
  languages.addLanguage({ name: "Compose", displayName: "Compose", mime: MIME, filename: FILE, load });
}

export const composefiles: JupyterFrontEndPlugin<void> = {
  id: "jupyter-containers-engine:composefiles",
  description: "Compose files in cells and files: highlighting, checks, help, completion.",
  autoStart: true,
  requires: [IFollower],
  optional: [INotebookTracker, IEditorExtensionRegistry, IEditorLanguageRegistry, IEditorTracker],
  activate: (
    app: JupyterFrontEnd,
    follower: Follower,
    tracker: INotebookTracker | null,
    registry: IEditorExtensionRegistry | null,
    languages: IEditorLanguageRegistry | null,
    editors: IEditorTracker | null,
  ) => {
    const language: Language = {
      name: "compose",
      label: "Compose",
      mime: MIME,
      mimes: [MIME],
      isCell: isComposeCell,
      checked,
      help,
      kind: (word) => (word.endsWith(":") ? "keyword" : "variable"),
      load: async () => (await languages?.getLanguage(YAML))?.support ?? [],
    };
    if (tracker) new CellTypes(language, tracker);
    if (languages) addLanguage(languages);
    // The kernel reads what a file names (its .env, an env_file) where it finds the file itself.
    const pathOf = (model: CodeEditor.IModel): string => {
      const path = editors?.find((one) => one.content.model === model)?.context.path ?? "";
      return path && `${PageConfig.getOption("serverRoot")}/${app.serviceManager.contents.localPath(path)}`;
    };
    registry?.addExtension({
      name: "jupyter-containers:compose",
      factory: ({ inline, model }: { inline: boolean; model: CodeEditor.IModel }) =>
        EditorExtensionRegistry.createImmutableExtension(
          extensions(language, model, follower, inline, () => pathOf(model)),
        ),
    });
  },
};
