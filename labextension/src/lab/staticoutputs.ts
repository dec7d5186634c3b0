/**
 * Keeps outputs of widgets readable without their kernel.
 *
 * When a notebook with a live widget is saved and reopened, the widget is gone, and the widget manager
 * shows a message instead of the output.  Our outputs also contain static HTML, which replaces the
 * message here.
 */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import type { CodeCell } from "@jupyterlab/cells";
import { INotebookTracker, type NotebookPanel } from "@jupyterlab/notebook";

const VIEW = "application/vnd.jupyter.widget-view+json";
const MARK = 'data-jupyter-containers="static"';
const WAIT_MS = 300;

export const readable: JupyterFrontEndPlugin<void> = {
  id: "jupyter-containers-engine:readable",
  description: "Shows the static form of outputs whose widgets ended with their kernel.",
  autoStart: true,
  optional: [INotebookTracker],
  activate: (_app: JupyterFrontEnd, tracker: INotebookTracker | null) => {
    tracker?.widgetAdded.connect((_, panel) => watch(panel));
  },
};

function watch(panel: NotebookPanel): void {
  let timer = 0;
  const observer = new MutationObserver(() => {
    clearTimeout(timer);
    timer = window.setTimeout(() => void look(panel), WAIT_MS);
  });
  observer.observe(panel.node, { childList: true, subtree: true });
  panel.disposed.connect(() => {
    clearTimeout(timer);
    observer.disconnect();
  });
}

async function look(panel: NotebookPanel): Promise<void> {
  if (panel.isDisposed) return;
  for (const cell of panel.content.widgets) {
    if (cell.model.type !== "code") continue;
    const { outputArea } = cell as CodeCell;
    for (let index = 0; index < outputArea.model.length; index++) {
      const output = outputArea.model.get(index);
      const html = output.data["text/html"];
      const place = outputArea.widgets[index]?.node.querySelector(".jp-OutputArea-output");
      if (!output.data[VIEW] || !String(html ?? "").includes(MARK) || !place) continue;
      if (!isLost(panel, place)) continue;
      const renderer = panel.content.rendermime.createRenderer("text/html");
      await renderer.renderModel(output);
      place.replaceChildren(renderer.node);
    }
  }
}

/** The widget manager has found no widget, or waits for a kernel that is not running. */
function isLost(panel: NotebookPanel, place: Element): boolean {
  const text = place.textContent ?? "";
  if (text.startsWith("Error displaying widget")) return true;
  return text.startsWith("Loading widget") && panel.sessionContext.hasNoKernel;
}
