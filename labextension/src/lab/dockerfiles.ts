/** Dockerfiles in cells (`%%dockerfile`) and in files. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import type { CodeEditor } from "@jupyterlab/codeeditor";
import { EditorExtensionRegistry, IEditorExtensionRegistry, IEditorLanguageRegistry } from "@jupyterlab/codemirror";
import { INotebookTracker } from "@jupyterlab/notebook";

import { INSTRUCTIONS } from "../facts";
import { checked, isDockerfileCell, keywordAt } from "./dockerfiletext";
import type { Follower } from "./follow";
import { IFollower } from "./tokens";
import { CellTypes, extensions, type Help, type Language } from "./writing";

const MIME = "text/x-dockerfile";
// JupyterLab knows files of exactly the name Dockerfile; one type has one entry in its list.
const OTHER_MIME = "text/x-containerfile";

function help(source: string, line: number): Help | null {
  const found = keywordAt(source.split("\n"), line);
  if (!found) return null;
  return { title: found.keyword, from: found.from, to: found.to, ...INSTRUCTIONS[found.keyword]! };
}

/** Dockerfiles with other file names. */
function addLanguage(languages: IEditorLanguageRegistry): void {
  const known = languages.findByMIME(MIME);
  if (!known?.load) return;
  const load = known.load.bind(known);
  languages.addLanguage({
    name: "Containerfile",
    displayName: "Dockerfile",
    mime: OTHER_MIME,
    extensions: ["dockerfile", "containerfile"],
    filename: /^(Dockerfile|Containerfile)(\..+)?$/i,
    load,
  });
}

export const dockerfiles: JupyterFrontEndPlugin<void> = {
  id: "jupyter-containers-engine:dockerfiles",
  description: "Dockerfiles in cells and files: highlighting, checks, help, completion.",
  autoStart: true,
  requires: [IFollower],
  optional: [INotebookTracker, IEditorExtensionRegistry, IEditorLanguageRegistry],
  activate: (
    _app: JupyterFrontEnd,
    follower: Follower,
    tracker: INotebookTracker | null,
    registry: IEditorExtensionRegistry | null,
    languages: IEditorLanguageRegistry | null,
  ) => {
    const language: Language = {
      name: "dockerfile",
      label: "Dockerfile",
      mime: MIME,
      mimes: [MIME, OTHER_MIME],
      isCell: isDockerfileCell,
      checked,
      help,
      kind: (word) => (word.toUpperCase() in INSTRUCTIONS ? "keyword" : "variable"),
      load: async () => (await languages?.getLanguage(MIME))?.support ?? [],
    };
    if (tracker) new CellTypes(language, tracker);
    if (languages) addLanguage(languages);
    registry?.addExtension({
      name: "jupyter-containers:dockerfile",
      factory: ({ inline, model }: { inline: boolean; model: CodeEditor.IModel }) =>
        EditorExtensionRegistry.createImmutableExtension(extensions(language, model, follower, inline, () => "")),
    });
  },
};
