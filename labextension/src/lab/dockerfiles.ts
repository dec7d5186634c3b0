/**
 * Dockerfiles in cells (`%%dockerfile`) and in files: highlighting, checks during editing, help for
 * instructions, completion.
 */

import { autocompletion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { type Diagnostic, linter, lintGutter } from "@codemirror/lint";
import { Compartment, type Extension, Prec, StateEffect, type Text } from "@codemirror/state";
import { Decoration, EditorView, hoverTooltip, type Tooltip, ViewPlugin, type ViewUpdate } from "@codemirror/view";
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import type { Cell } from "@jupyterlab/cells";
import type { CodeEditor } from "@jupyterlab/codeeditor";
import { EditorExtensionRegistry, IEditorExtensionRegistry, IEditorLanguageRegistry } from "@jupyterlab/codemirror";
import { INotebookTracker, type NotebookPanel } from "@jupyterlab/notebook";

import { INSTRUCTIONS } from "../facts";
import { child } from "../frame";
import type { Client } from "./client";
import { checked, isDockerfileCell, keywordAt, MAGIC } from "./dockerfiletext";
import type { Follower } from "./follow";
import type { Squiggle } from "./protocol";
import { IFollower } from "./tokens";

const MIME = "text/x-dockerfile";
// JupyterLab knows files of exactly the name Dockerfile; one type has one entry in its list.
const OTHER_MIME = "text/x-containerfile";
const PAUSE_MS = 500;

type FindClient = () => Client | null;
type LoadLanguage = () => Promise<Extension>;

/** Return the additional extensions of a Dockerfile's editor. */
export function extensions(
  model: CodeEditor.IModel,
  follower: Follower,
  inCell: boolean,
  language: LoadLanguage,
): Extension[] {
  const isDockerfile = (): boolean => model.mimeType === MIME || model.mimeType === OTHER_MIME;
  const client: FindClient = () => follower.client;
  const parts: Extension[] = [
    linter((view) => (isDockerfile() && follower.checks ? check(view, client()) : []), {
      delay: PAUSE_MS,
      needsRefresh: (update) => update.transactions.some((one) => one.effects.some((effect) => effect.is(again))),
    }),
    checkAgain(isDockerfile, follower),
    highlighting(model, language),
    hoverTooltip((view, position) => (isDockerfile() ? help(view, position) : null)),
    THEME,
  ];
  // A cell is completed by its kernel, as all cells are.
  if (inCell) return [...parts, magicLine(isDockerfile)];
  return [
    ...parts,
    lintGutter(),
    autocompletion({ override: [(context) => (isDockerfile() ? complete(context, client()) : null)] }),
  ];
}

/**
 * The language of a cell that is a Dockerfile.
 *
 * The editor also follows the cell's type, but loads each language asynchronously: of two types in quick
 * succession, the kernel's and this one, the slower one would win.
 */
function highlighting(model: CodeEditor.IModel, language: LoadLanguage): Extension {
  const place = new Compartment();
  const follow = ViewPlugin.define((view) => {
    let wanted = false;
    const look = (): void => {
      const now = model.mimeType === MIME;
      if (now === wanted) return;
      wanted = now;
      const apply = (support: Extension): void => {
        // Not while the editor is being built or is drawing.
        setTimeout(() => {
          if (wanted === now) view.dispatch({ effects: place.reconfigure(Prec.highest(support)) });
        });
      };
      if (!now) apply([]);
      else void language().then(apply);
    };
    model.mimeTypeChanged.connect(look);
    look();
    return { destroy: () => void model.mimeTypeChanged.disconnect(look) };
  });
  return [place.of([]), follow];
}

const again = StateEffect.define<null>();

/** Check again when the kernel has changed. */
function checkAgain(isDockerfile: () => boolean, follower: Follower): Extension {
  return ViewPlugin.define((view) => {
    const look = (): void => {
      if (isDockerfile() && follower.client?.state === "open") view.dispatch({ effects: again.of(null) });
    };
    follower.changed.connect(look);
    return { destroy: () => void follower.changed.disconnect(look) };
  });
}

async function check(view: EditorView, client: Client | null): Promise<Diagnostic[]> {
  const { doc } = view.state;
  const wanted = checked(doc.toString());
  if (!wanted || client?.state !== "open") return [];
  try {
    const found = await client.call({ do: "check", text: wanted.text });
    // Text that has changed since is checked next.
    return view.state.doc.eq(doc) ? found.map((one) => diagnostic(doc, one, wanted.added)) : [];
  } catch {
    return []; // the kernel went; the panel says so
  }
}

/** A finding at its lines, without surrounding spaces. */
export function diagnostic(doc: Text, found: Squiggle, added: number): Diagnostic {
  const bounded = (line: number): number => Math.min(Math.max(line - added, 1), doc.lines);
  const first = doc.line(bounded(found.first_line));
  const last = doc.line(bounded(found.last_line));
  const from = first.from + (first.length - first.text.trimStart().length);
  const to = Math.max(last.from + last.text.trimEnd().length, from);
  return {
    from,
    to,
    severity: found.is_error ? "error" : "warning",
    message: found.message,
    source: found.rule || "Dockerfile",
  };
}

function help(view: EditorView, position: number): Tooltip | null {
  const { doc } = view.state;
  const line = doc.lineAt(position);
  const lines = doc.toString().split("\n");
  const found = keywordAt(lines, line.number - 1);
  const column = position - line.from;
  if (!found || column < found.from || column > found.to) return null;
  const { forms, words, flags } = INSTRUCTIONS[found.keyword]!;
  return {
    pos: line.from + found.from,
    end: line.from + found.to,
    above: false,
    create: () => {
      const dom = document.createElement("div");
      dom.className = "jc-lab-help";
      child(dom, "strong", "", found.keyword);
      child(dom, "p", "", words.replaceAll("`", ""));
      child(dom, "pre", "", forms.join("\n"));
      const list = child(dom, "dl");
      for (const [flag, about] of Object.entries(flags)) {
        child(list, "dt", "", flag);
        child(list, "dd", "", about);
      }
      return { dom };
    },
  };
}

async function complete(context: CompletionContext, client: Client | null): Promise<CompletionResult | null> {
  if (client?.state !== "open") return null;
  const before = context.state.sliceDoc(0, context.pos);
  if (!context.explicit && /(^|\s)$/.test(before)) return null;
  const { replaces, matches } = await client.call({ do: "complete", before });
  if (!matches.length) return null;
  const options = matches.map((label) => ({
    label,
    type: label.toUpperCase() in INSTRUCTIONS ? "keyword" : "variable",
  }));
  return { from: context.pos - replaces, options };
}

const MARK = Decoration.line({ class: "jc-lab-magic" });

/** The magic's line is not part of the Dockerfile: it looks like the magics of other cells. */
function magicLine(isDockerfile: () => boolean): Extension {
  const decorate = (view: EditorView): ReturnType<typeof Decoration.set> => {
    const { doc } = view.state;
    for (let number = 1; number <= Math.min(doc.lines, 5); number++) {
      const line = doc.line(number);
      if (line.text.trim())
        return isDockerfile() && line.text.startsWith(MAGIC)
          ? Decoration.set([MARK.range(line.from)])
          : Decoration.none;
    }
    return Decoration.none;
  };
  return ViewPlugin.fromClass(
    class {
      decorations;
      constructor(view: EditorView) {
        this.decorations = decorate(view);
      }
      update(update: ViewUpdate): void {
        this.decorations = decorate(update.view);
      }
    },
    { decorations: (plugin) => plugin.decorations },
  );
}

const THEME = EditorView.baseTheme({
  ".jc-lab-magic, .jc-lab-magic *": {
    color: "var(--jp-mirror-editor-meta-color, #a2f) !important",
    fontWeight: "normal !important",
  },
  ".jc-lab-help": {
    padding: "6px 10px",
    maxWidth: "36em",
    fontFamily: "var(--jp-ui-font-family)",
    fontSize: "var(--jp-ui-font-size1)",
  },
  ".jc-lab-help p": { margin: "4px 0" },
  ".jc-lab-help dl": { display: "grid", gridTemplateColumns: "max-content 1fr", gap: "0 12px", margin: "6px 0 0" },
  ".jc-lab-help dt": { fontFamily: "var(--jp-code-font-family)" },
  ".jc-lab-help dd": { margin: "0" },
  ".jc-lab-help pre": { margin: "0", fontFamily: "var(--jp-code-font-family)", whiteSpace: "pre-wrap" },
  ".cm-tooltip:has(.jc-lab-help), .cm-tooltip-lint": {
    background: "var(--jp-layout-color1)",
    color: "var(--jp-ui-font-color1)",
    border: "1px solid var(--jp-border-color1)",
    boxShadow: "var(--jp-elevation-z4)",
  },
  ".cm-tooltip-lint .cm-diagnostic": { fontFamily: "var(--jp-ui-font-family)", fontSize: "var(--jp-ui-font-size1)" },
  ".cm-tooltip-lint .cm-diagnosticSource": {
    opacity: "1",
    color: "var(--jp-ui-font-color2)",
    fontSize: "var(--jp-ui-font-size0)",
  },
});

/** Give cells that begin with the magic a Dockerfile's type, and other cells their kernel's. */
export class CellTypes {
  constructor(tracker: INotebookTracker) {
    tracker.widgetAdded.connect((_, panel) => this.watch(panel));
    tracker.forEach((panel) => {
      this.watch(panel);
    });
  }

  private watch(panel: NotebookPanel): void {
    const known = new WeakSet<Cell>();
    const look = (): void => {
      for (const cell of panel.content.widgets) {
        if (cell.model.type !== "code" || known.has(cell)) continue;
        known.add(cell);
        const update = (): void => this.update(panel, cell);
        cell.model.contentChanged.connect(update);
        // The notebook gives all cells the kernel's type when the kernel changes.
        cell.model.mimeTypeChanged.connect(update);
        update();
      }
    };
    panel.content.modelContentChanged.connect(look);
    void panel.context.ready.then(look);
    void panel.revealed.then(look);
  }

  private update(panel: NotebookPanel, cell: Cell): void {
    if (cell.isDisposed || panel.isDisposed) return;
    const { model } = cell;
    const wanted = isDockerfileCell(model.sharedModel.getSource())
      ? MIME
      : model.mimeType === MIME
        ? panel.content.codeMimetype
        : model.mimeType;
    if (model.mimeType !== wanted) model.mimeType = wanted;
  }
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
    if (tracker) new CellTypes(tracker);
    if (languages) addLanguage(languages);
    const language: LoadLanguage = async () => (await languages?.getLanguage(MIME))?.support ?? [];
    registry?.addExtension({
      name: "jupyter-containers:dockerfile",
      factory: ({ inline, model }: { inline: boolean; model: CodeEditor.IModel }) =>
        EditorExtensionRegistry.createImmutableExtension(extensions(model, follower, inline, language)),
    });
  },
};
