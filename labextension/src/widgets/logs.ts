/**
 * The output of a container: in colour, with search, follow, pause and copy.
 *
 * A paused view acknowledges nothing, so the kernel keeps further output, up to a limit.
 */

import type { RenderProps } from "@anywidget/types";
import { SearchAddon } from "@xterm/addon-search";
import { WebLinksAddon } from "@xterm/addon-web-links";

import { LOG_LINES } from "../facts";
import { addStyle, child, makeFrame } from "../frame";
import { connect } from "../link";
import type { LogsFromView, LogsToView, ScreenHello, ScreenState } from "../messages";
import { Acknowledger, copy, openScreen, wholeText } from "../screen";
import css from "./logs.css";

const DECORATIONS = {
  matchBackground: "#ffe08a",
  activeMatchBackground: "#ff9f43",
  matchOverviewRuler: "#d9a400",
  activeMatchColorOverviewRuler: "#ff7f00",
};

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addStyle(el, css);
  const link = connect<LogsFromView, LogsToView>(model, el);
  const acknowledger = new Acknowledger(link.send);
  const screen = openScreen(frame.body, { scrollback: LOG_LINES, typing: false });
  const { terminal } = screen;
  const search = new SearchAddon();
  terminal.loadAddon(search);
  terminal.loadAddon(new WebLinksAddon());

  let held: Uint8Array[] | null = null;
  const write = (bytes: Uint8Array): void => {
    terminal.write(bytes, () => acknowledger.add(bytes.length));
  };

  const field = child(frame.bar, "input", "jc-frame-input");
  field.type = "search";
  field.placeholder = "Search";
  field.setAttribute("aria-label", "Search the log");
  const found = child(frame.bar, "span", "jc-logs-found");
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

  const pause = frame.button("Pause", "Pause the log", () => {
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
  frame.button("Copy", "Copy the selection, or everything", () =>
    copy(terminal.hasSelection() ? terminal.getSelection() : wholeText(terminal)),
  );
  const close = frame.button("✕", "Close", () => link.send({ kind: "close" }));
  close.hidden = true;

  const show = (message: ScreenHello | ScreenState): void => {
    frame.setTitle(message.title);
    frame.setState(message.state);
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
    } else if (message.kind === "state") {
      show(message);
    } else if (bytes) {
      if (held) held.push(bytes);
      else write(bytes);
    }
  });

  return () => {
    places.disconnect();
    acknowledger.stop();
    link.close();
    screen.dispose();
  };
}

export default { render };
