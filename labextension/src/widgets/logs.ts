/**
 * What a container writes: with its colours, searched, followed, held still, copied.
 *
 * From the kernel: `hello` (what was written so far) and `output`, both with a buffer; `state`.
 * To it: `ack` (bytes drawn) and `close`.  A view that is held still acknowledges nothing, so the
 * kernel keeps the rest, up to a limit.
 */

import type { RenderProps } from "@anywidget/types";
import { SearchAddon } from "@xterm/addon-search";
import { WebLinksAddon } from "@xterm/addon-web-links";

import { addStyle, child, makeFrame } from "../frame";
import { connect, type Message } from "../link";
import { copy, openScreen, wholeText } from "../screen";

const LINES = 20000; // the kernel's widget sends a new view no more
const DECORATIONS = {
  matchBackground: "#ffe08a",
  activeMatchBackground: "#ff9f43",
  matchOverviewRuler: "#d9a400",
  activeMatchColorOverviewRuler: "#ff7f00",
};
const STYLE = `
.jc-found { color: var(--jp-ui-font-color2, inherit); min-width: 4em; white-space: nowrap; font-variant-numeric: tabular-nums; }
`;

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addStyle(el, STYLE);
  const link = connect(model, el);
  const screen = openScreen(frame.body, { scrollback: LINES, typing: false });
  const { terminal } = screen;
  const search = new SearchAddon();
  terminal.loadAddon(search);
  terminal.loadAddon(new WebLinksAddon());

  let held: Uint8Array[] | null = null;
  const write = (bytes: Uint8Array): void => {
    terminal.write(bytes, () => link.acknowledge(bytes.length));
  };

  const field = child(frame.bar, "input", "jc-input");
  field.type = "search";
  field.placeholder = "Search";
  field.setAttribute("aria-label", "Search the log");
  const found = child(frame.bar, "span", "jc-found");
  const find = (backwards: boolean, incremental: boolean): void => {
    if (!field.value) {
      search.clearDecorations();
      found.textContent = "";
      return;
    }
    const options = { decorations: DECORATIONS, incremental };
    if (backwards) search.findPrevious(field.value, options);
    else search.findNext(field.value, options);
  };
  field.addEventListener("input", () => find(true, true));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") find(!event.shiftKey, false);
    if (event.key === "Escape") {
      field.value = "";
      find(false, false);
    }
  });
  search.onDidChangeResults(({ resultIndex, resultCount }) => {
    if (!field.value) found.textContent = "";
    else if (!resultCount) found.textContent = "none";
    else found.textContent = resultIndex < 0 ? `${resultCount}+` : `${resultIndex + 1}/${resultCount}`;
  });

  const pause = frame.button("Pause", "Hold the log still", () => {
    const waiting = held;
    held = waiting ? null : [];
    pause.textContent = held ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(held !== null));
    waiting?.forEach(write);
  });
  const end = frame.button("To the end", "Go to the last line and follow", () => terminal.scrollToBottom());
  const follow = (): void => {
    const buffer = terminal.buffer.active;
    end.disabled = buffer.viewportY >= buffer.baseY;
  };
  // Not onScroll: that is called for every line.
  terminal.onWriteParsed(follow);
  screen.place.addEventListener("wheel", () => requestAnimationFrame(follow));
  frame.button("Copy", "Copy what is marked, or everything", () =>
    copy(terminal.hasSelection() ? terminal.getSelection() : wholeText(terminal)),
  );
  const close = frame.button("✕", "Close", () => link.send("close"));
  close.hidden = true;

  const show = (message: Message): void => {
    frame.setTitle(String(message.title ?? ""));
    frame.setState(String(message.state ?? ""));
    pause.disabled = !message.running && held === null;
    close.hidden = !message.closable;
  };

  const places = new ResizeObserver(() => requestAnimationFrame(screen.fit));
  link.open((message, buffers) => {
    const data = buffers[0];
    const bytes = data ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : null;
    if (message.kind === "hello") {
      show(message);
      screen.fit();
      places.observe(screen.place);
      terminal.reset();
      terminal.write(`\x1b[?25l`);
      if (bytes) terminal.write(bytes);
    } else if (message.kind === "output" && bytes) {
      if (held) held.push(bytes);
      else write(bytes);
    } else if (message.kind === "state") {
      show(message);
    }
  });

  return () => {
    places.disconnect();
    link.close();
    screen.dispose();
  };
}

export default { render };
