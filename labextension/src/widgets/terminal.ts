/** A terminal on a process in a container. */

import type { RenderProps } from "@anywidget/types";
import { WebLinksAddon } from "@xterm/addon-web-links";

import { askingButton, makeFrame } from "../frame";
import { connect } from "../link";
import type { ScreenHello, ScreenState, TerminalFromView, TerminalToView } from "../messages";
import { Acknowledger, copy, openScreen, wholeText } from "../screen";

const SCROLLBACK = 5000;

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  const link = connect<TerminalFromView, TerminalToView>(model, el);
  const acknowledger = new Acknowledger(link.send);
  const screen = openScreen(frame.body, { scrollback: SCROLLBACK, typing: true });
  const { terminal } = screen;
  terminal.loadAddon(new WebLinksAddon());
  const encoder = new TextEncoder();
  let running = true;
  let replaying = true;

  const type = (data: string): void => {
    // Replayed output may contain queries to the terminal that were answered before.
    if (!replaying && running) link.send({ kind: "input" }, [encoder.encode(data).buffer as ArrayBuffer]);
  };
  terminal.onData(type);
  terminal.onBinary((data) => {
    if (running) link.send({ kind: "input" }, [Uint8Array.from(data, (c) => c.charCodeAt(0)).buffer]);
  });

  frame.button("Copy", "Copy the selection, or everything", () => {
    copy(terminal.hasSelection() ? terminal.getSelection() : wholeText(terminal));
    terminal.focus();
  });
  const paste = frame.button("Paste", "Paste from the clipboard (Ctrl+V)", () => {
    navigator.clipboard?.readText?.().then(
      (text) => terminal.paste(text),
      () => undefined,
    );
    terminal.focus();
  });
  paste.hidden = !navigator.clipboard?.readText;
  const end = askingButton(frame.bar, "End", "Really end?", "End the process", () => link.send({ kind: "end" }));

  const close = frame.button("✕", "Close", () => link.send({ kind: "close" }));
  close.hidden = true;

  const show = (message: ScreenHello | ScreenState): void => {
    close.hidden = !message.closable;
    frame.setTitle(message.title);
    frame.setState(message.state);
    running = message.running;
    end.disabled = !running;
    paste.disabled = !running;
    terminal.options.disableStdin = !running;
    if (!running) terminal.options.cursorInactiveStyle = "none";
  };

  const sayOwnSize = (): void => {
    if (running) link.send({ kind: "size", rows: terminal.rows, columns: terminal.cols });
  };
  const refit = (): void => {
    const { rows, cols } = terminal;
    screen.fit();
    if (rows !== terminal.rows || cols !== terminal.cols) sayOwnSize();
  };
  const places = new ResizeObserver(() => requestAnimationFrame(refit));
  // The view with the focus determines the size.
  terminal.textarea?.addEventListener("focus", () => {
    screen.fit();
    sayOwnSize();
  });

  link.open((message, buffers) => {
    const data = buffers[0];
    const bytes = data ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : null;
    if (message.kind === "hello") {
      show(message);
      terminal.reset();
      terminal.write(bytes ?? "", () => {
        replaying = false;
      });
      screen.fit();
      sayOwnSize();
      places.observe(screen.place);
    } else if (message.kind === "output") {
      if (bytes) terminal.write(bytes, () => acknowledger.add(bytes.length));
    } else if (message.kind === "size") {
      if (message.by !== link.id) terminal.resize(message.columns, message.rows);
    } else {
      show(message);
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
