/**
 * A language that is written in cells (below a magic) and in files: highlighting, checks during editing, help,
 * completion.  What is particular to a language is a `Language`.
 */

import { autocompletion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { type Diagnostic, linter, lintGutter } from "@codemirror/lint";
import { Compartment, EditorState, type Extension, Prec, StateEffect, type Text } from "@codemirror/state";
import { Decoration, EditorView, hoverTooltip, type Tooltip, ViewPlugin, type ViewUpdate } from "@codemirror/view";
import type { Cell } from "@jupyterlab/cells";
import type { CodeEditor } from "@jupyterlab/codeeditor";
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";

import { child } from "../frame";
import type { Client } from "./client";
import type { Follower } from "./follow";
import type { Language as Name, Squiggle } from "./protocol";

const PAUSE_MS = 500;

/** The text of a cell or file for the kernel to check, and the offset of its line numbers. */
export interface Checked {
  text: string;
  added: number; // lines of ours above the text's own
}

/** What is shown about a place. */
export interface Help {
  title: string;
  words: string;
  forms: readonly string[];
  flags?: Readonly<Record<string, string>>;
  from: number; // columns in the line
  to: number;
}

export interface Language {
  name: Name;
  /** How a finding without a rule calls it. */
  label: string;
  /** The type of cells, and those of files. */
  mime: string;
  mimes: readonly string[];
  isCell(source: string): boolean;
  /** Return the text to check; null if it cannot be checked. */
  checked(source: string): Checked | null;
  /** Return what is known about a place, by the editor itself or by the kernel; line and column from 0. */
  help(source: string, line: number, column: number, client: Client | null): Help | null | Promise<Help | null>;
  /** The kind of a completion, for its icon. */
  kind(word: string): string;
  load(): Promise<Extension>;
}

type FindClient = () => Client | null;

/** Return the additional extensions of an editor of a language; `path` returns the file's path. */
export function extensions(
  language: Language,
  model: CodeEditor.IModel,
  follower: Follower,
  inCell: boolean,
  path: () => string,
): Extension[] {
  const isIt = (): boolean => language.mimes.includes(model.mimeType);
  const client: FindClient = () => follower.client;
  const parts: Extension[] = [
    linter((view) => (isIt() && follower.checks ? check(language, view, client(), inCell ? "" : path()) : []), {
      delay: PAUSE_MS,
      needsRefresh: (update) => update.transactions.some((one) => one.effects.some((effect) => effect.is(again))),
    }),
    checkAgain(isIt, follower),
    highlighting(model, language),
    hoverTooltip((view, position) => (isIt() ? help(language, view, position, client()) : null)),
    THEME,
  ];
  // The same objects every time: an editor knows a source by its identity.
  const sources = [
    { autocomplete: (context: CompletionContext) => (isIt() ? complete(language, context, client()) : null) },
  ];
  // A cell is completed by its kernel, as all cells are.
  if (inCell) return [...parts, magicLine(language, isIt)];
  return [
    ...parts,
    lintGutter(),
    // Every language adds its own source: configurations with an override each would exclude each other.
    autocompletion(),
    EditorState.languageData.of(() => sources),
  ];
}

/**
 * The language of a cell below a magic.
 *
 * The editor also follows the cell's type, but loads each language asynchronously: of two types in quick
 * succession, the kernel's and this one, the slower one would win.
 */
function highlighting(model: CodeEditor.IModel, language: Language): Extension {
  const place = new Compartment();
  const follow = ViewPlugin.define((view) => {
    let wanted = false;
    const look = (): void => {
      const now = model.mimeType === language.mime;
      if (now === wanted) return;
      wanted = now;
      const apply = (support: Extension): void => {
        // Not while the editor is being built or is drawing.
        setTimeout(() => {
          if (wanted === now) view.dispatch({ effects: place.reconfigure(Prec.highest(support)) });
        });
      };
      if (!now) apply([]);
      else void language.load().then(apply);
    };
    model.mimeTypeChanged.connect(look);
    look();
    return { destroy: () => void model.mimeTypeChanged.disconnect(look) };
  });
  return [place.of([]), follow];
}

const again = StateEffect.define<null>();

/** Check again when the kernel has changed. */
function checkAgain(isIt: () => boolean, follower: Follower): Extension {
  return ViewPlugin.define((view) => {
    const look = (): void => {
      if (isIt() && follower.client?.state === "open") view.dispatch({ effects: again.of(null) });
    };
    follower.changed.connect(look);
    return { destroy: () => void follower.changed.disconnect(look) };
  });
}

async function check(language: Language, view: EditorView, client: Client | null, path: string): Promise<Diagnostic[]> {
  const { doc } = view.state;
  const wanted = language.checked(doc.toString());
  if (!wanted || client?.state !== "open") return [];
  try {
    const found = await client.call({ do: "check", text: wanted.text, language: language.name, path });
    // Text that has changed since is checked next.
    return view.state.doc.eq(doc) ? found.map((one) => diagnostic(doc, one, wanted.added, language.label)) : [];
  } catch {
    return []; // the kernel went; the panel says so
  }
}

/** A finding at its characters, or at its lines without the blanks around them. */
export function diagnostic(doc: Text, found: Squiggle, added: number, label: string): Diagnostic {
  const bounded = (line: number): number => Math.min(Math.max(line - added, 1), doc.lines);
  const first = doc.line(bounded(found.first_line));
  const last = doc.line(bounded(found.last_line));
  let from = first.from + (first.length - first.text.trimStart().length);
  let to = Math.max(last.from + last.text.trimEnd().length, from);
  if (found.length) {
    const start = units(first.text, found.column);
    from = Math.min(first.from + start, first.to);
    to = Math.min(first.from + units(first.text, found.column + found.length), first.to);
  }
  return {
    from,
    to,
    severity: found.is_error ? "error" : "warning",
    message: found.message,
    source: found.rule || label,
  };
}

/** Where a character of the kernel's count begins: an editor counts units of UTF-16. */
export function units(text: string, characters: number): number {
  return [...text].slice(0, characters).join("").length;
}

/** The kernel's count of an editor's column. */
export function characters(text: string, column: number): number {
  return [...text.slice(0, column)].length;
}

async function help(
  language: Language,
  view: EditorView,
  position: number,
  client: Client | null,
): Promise<Tooltip | null> {
  const { doc } = view.state;
  const line = doc.lineAt(position);
  const column = position - line.from;
  const found = await language.help(doc.toString(), line.number - 1, column, client);
  if (!found || column < found.from || column > found.to) return null;
  return {
    pos: line.from + found.from,
    end: line.from + found.to,
    above: false,
    create: () => {
      const dom = document.createElement("div");
      dom.className = "jc-lab-help";
      child(dom, "strong", "", found.title);
      child(dom, "p", "", found.words.replaceAll("`", ""));
      if (found.forms.length) child(dom, "pre", "", found.forms.join("\n"));
      const list = child(dom, "dl");
      for (const [flag, about] of Object.entries(found.flags ?? {})) {
        child(list, "dt", "", flag);
        child(list, "dd", "", about);
      }
      return { dom };
    },
  };
}

async function complete(
  language: Language,
  context: CompletionContext,
  client: Client | null,
): Promise<CompletionResult | null> {
  if (client?.state !== "open") return null;
  const before = context.state.sliceDoc(0, context.pos);
  if (!context.explicit && /(^|\s)$/.test(before)) return null;
  const after = context.state.sliceDoc(context.pos);
  const { replaces, matches } = await client.call({ do: "complete", before, after, language: language.name });
  if (!matches.length) return null;
  const options = matches.map((label) => ({ label, type: language.kind(label) }));
  return { from: context.pos - units(before.slice(-replaces), replaces), options };
}

const MARK = Decoration.line({ class: "jc-lab-magic" });

/** The magic's line is not part of the text: it looks like the magics of other cells. */
function magicLine(language: Language, isIt: () => boolean): Extension {
  const decorate = (view: EditorView): ReturnType<typeof Decoration.set> => {
    const { doc } = view.state;
    for (let number = 1; number <= Math.min(doc.lines, 5); number++) {
      const line = doc.line(number);
      if (line.text.trim())
        return isIt() && language.isCell(line.text) ? Decoration.set([MARK.range(line.from)]) : Decoration.none;
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

/** Give cells that begin with the magic the type of a language, and others that of their kernel. */
export class CellTypes {
  constructor(
    private readonly language: Language,
    tracker: INotebookTracker,
  ) {
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
    const { mime } = this.language;
    const wanted = this.language.isCell(model.sharedModel.getSource())
      ? mime
      : model.mimeType === mime
        ? panel.content.codeMimetype
        : model.mimeType;
    if (model.mimeType !== wanted) model.mimeType = wanted;
  }
}

/** Whether a cell's source begins with a magic; blank lines may stand above. */
export function beginsWith(source: string, magic: string): boolean {
  const first = source.trimStart().split("\n", 1)[0] ?? "";
  return first === magic || first.startsWith(`${magic} `);
}

/** The parts of a cell's source: the magic's line, the text below, and how many lines stand above the text. */
export function partsOf(source: string): { magic: string; body: string; above: number } {
  const blank = source.length - source.trimStart().length;
  const skipped = source.slice(0, blank).split("\n").length - 1;
  const [magic = "", ...rest] = source.slice(blank).split("\n");
  return { magic, body: rest.join("\n"), above: skipped + 1 };
}
