/** A screen: xterm.js in the colours and the font of the page, as wide as its container. */
import { FitAddon } from "@xterm/addon-fit";
import { type ITheme, Terminal } from "@xterm/xterm";
import xtermCss from "@xterm/xterm/css/xterm.css";

import { addStyle, child } from "./frame";
import type { Ack } from "./messages";
import css from "./screen.css";

// Readable on white and on black; black and white themselves follow the page.
const LIGHT: ITheme = {
  black: "#1f2328",
  red: "#c62828",
  green: "#1b7a37",
  yellow: "#8a6100",
  blue: "#1f5fc4",
  magenta: "#9133a8",
  cyan: "#0b7285",
  white: "#6b7280",
  brightBlack: "#57606a",
  brightRed: "#d14343",
  brightGreen: "#2a8f4d",
  brightYellow: "#a07400",
  brightBlue: "#3b78d8",
  brightMagenta: "#a651b5",
  brightCyan: "#1b8a99",
  brightWhite: "#8a8f98",
};
const DARK: ITheme = {
  black: "#3a3f47",
  red: "#f07178",
  green: "#7fd08f",
  yellow: "#e6c07b",
  blue: "#7aaaf7",
  magenta: "#d391e0",
  cyan: "#66c9d6",
  white: "#d4d7dc",
  brightBlack: "#868d98",
  brightRed: "#ff8f95",
  brightGreen: "#9be3a8",
  brightYellow: "#f3d79a",
  brightBlue: "#9dc2ff",
  brightMagenta: "#e4b3ee",
  brightCyan: "#8fe0ea",
  brightWhite: "#ffffff",
};

const ACKNOWLEDGED_AT_ONCE = 32 * 1024;
const ACKNOWLEDGED_AFTER_MS = 200;

export interface Screen {
  terminal: Terminal;
  place: HTMLElement;
  fit(): void;
  dispose(): void;
}

export function openScreen(parent: HTMLElement, options: { scrollback: number; typing: boolean }): Screen {
  addStyle(parent, xtermCss + css);
  const place = child(parent, "div", "jc-screen");
  const terminal = new Terminal({
    allowProposedApi: true,
    convertEol: !options.typing,
    cursorBlink: false,
    disableStdin: !options.typing,
    cursorInactiveStyle: options.typing ? "outline" : "none",
    fontFamily: variable(place, "--jp-code-font-family") || "monospace",
    fontSize: parseInt(variable(place, "--jp-code-font-size"), 10) || 13,
    scrollback: options.scrollback,
  });
  const fitting = new FitAddon();
  terminal.loadAddon(fitting);
  terminal.attachCustomKeyEventHandler((event) => onKey(terminal, event));

  const paint = (): void => {
    const theme = pageTheme(place, options.typing);
    place.style.setProperty("--jc-screen-ground", theme.background ?? "transparent");
    terminal.options.theme = theme;
  };
  const fit = (): void => {
    if (place.clientWidth > 0) fitting.fit();
  };
  paint();
  terminal.open(place);

  const themes = new MutationObserver(() => setTimeout(paint, 400)); // the sheet follows the mark
  themes.observe(document.body, { attributes: true });
  return {
    terminal,
    place,
    fit,
    dispose() {
      themes.disconnect();
      terminal.dispose();
    },
  };
}

function variable(el: Element, name: string): string {
  return getComputedStyle(el.isConnected ? el : document.body)
    .getPropertyValue(name)
    .trim();
}

function pageTheme(el: Element, typing: boolean): ITheme {
  const background = variable(el, "--jp-layout-color0") || variable(el, "--vscode-editor-background") || "#ffffff";
  const foreground =
    variable(el, "--jp-content-font-color0") || variable(el, "--vscode-editor-foreground") || "#1f2328";
  const colours = isDark(background) ? DARK : LIGHT;
  const selection = isDark(background) ? "#3d5a80" : "#b4d2fb";
  return {
    ...colours,
    background,
    foreground: opaque(foreground, isDark(background)),
    cursor: typing ? opaque(foreground, isDark(background)) : "transparent",
    cursorAccent: background,
    selectionBackground: selection,
    selectionInactiveBackground: selection,
  };
}

/** xterm draws text in opaque colours only. */
function opaque(colour: string, dark: boolean): string {
  return /^#[0-9a-f]{6}$/i.test(colour) ? colour : dark ? "#e6e8eb" : "#1f2328";
}

function isDark(colour: string): boolean {
  const context = document.createElement("canvas").getContext("2d");
  if (!context) return false;
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red = 255, green = 255, blue = 255] = context.getImageData(0, 0, 1, 1).data;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
}

/** Copy if text is selected, paste as the browser does; all other keys are sent to the program. */
function onKey(terminal: Terminal, event: KeyboardEvent): boolean {
  if (event.type !== "keydown" || event.altKey) return true;
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (command && key === "c" && terminal.hasSelection()) {
    copy(terminal.getSelection());
    terminal.clearSelection();
    event.preventDefault();
    return false;
  }
  if (command && event.shiftKey && key === "c") {
    event.preventDefault();
    return false;
  }
  // Not handled here: the browser's paste event follows.
  return !(command && key === "v") && !(event.shiftKey && key === "insert");
}

/** Copy a text to the clipboard, even if the page is not served over TLS. */
export function copy(text: string): void {
  const fallback = (): void => {
    const area = child(document.body, "textarea");
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).catch(fallback);
  else fallback();
}

/** Return the screen and its scrollback as text. */
export function wholeText(terminal: Terminal): string {
  const buffer = terminal.buffer.active;
  const lines: string[] = [];
  for (let index = 0; index < buffer.length; index++) {
    const line = buffer.getLine(index);
    if (!line) continue;
    const text = line.translateToString(true);
    if (line.isWrapped && lines.length) lines[lines.length - 1] += text;
    else lines.push(text);
  }
  return `${lines.join("\n").trimEnd()}\n`;
}

/** Reports how many bytes were drawn: small numbers a little later, so as not to delay the next key. */
export class Acknowledger {
  private drawn = 0;
  private timer = 0;

  constructor(private readonly send: (message: Ack) => void) {}

  add(bytes: number): void {
    this.drawn += bytes;
    if (this.drawn >= ACKNOWLEDGED_AT_ONCE) this.flush();
    else this.timer ||= window.setTimeout(() => this.flush(), ACKNOWLEDGED_AFTER_MS);
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private flush(): void {
    this.stop();
    this.timer = 0;
    this.send({ kind: "ack", bytes: this.drawn });
    this.drawn = 0;
  }
}
