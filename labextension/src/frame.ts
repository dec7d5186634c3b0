/** What all widgets look like: a box with a bar of buttons above its content. */

const STYLE = `
.jc-box { border: 1px solid var(--jp-border-color2, rgba(128,128,128,.35)); border-radius: 4px;
  color: var(--jp-ui-font-color1, var(--vscode-foreground, inherit)); max-width: 100%;
  font-family: var(--jp-ui-font-family, system-ui, sans-serif);
  font-size: var(--jp-ui-font-size1, 13px); overflow: hidden; margin: 2px 0; }
.jc-bar { display: flex; align-items: center; gap: 6px; padding: 3px 8px; min-height: 26px; flex-wrap: wrap;
  background: var(--jp-layout-color2, rgba(128,128,128,.12));
  border-bottom: 1px solid var(--jp-border-color2, rgba(128,128,128,.35)); }
.jc-title { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.jc-state { color: var(--jp-ui-font-color2, inherit); white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.jc-space { flex: 1 1 auto; }
.jc-button { border: 1px solid var(--jp-border-color2, rgba(128,128,128,.45)); border-radius: 3px;
  background: var(--jp-layout-color1, transparent); color: inherit; font: inherit; line-height: 1.5;
  padding: 0 8px; cursor: pointer; white-space: nowrap; }
.jc-button:hover:not(:disabled) { background: var(--jp-layout-color3, rgba(128,128,128,.25)); }
.jc-button:focus-visible { outline: 2px solid var(--jp-brand-color1, #3b78d8); outline-offset: 1px; }
.jc-button:disabled { opacity: .45; cursor: default; }
.jc-button[aria-pressed="true"] { background: var(--jp-brand-color1, #3b78d8);
  color: var(--jp-ui-inverse-font-color1, #fff); }
.jc-button.jc-danger { border-color: var(--jp-error-color1, #d14343); color: var(--jp-error-color1, #d14343); }
.jc-input { border: 1px solid var(--jp-border-color2, rgba(128,128,128,.45)); border-radius: 3px;
  background: var(--jp-layout-color1, transparent); color: inherit; font: inherit; line-height: 1.5;
  padding: 0 6px; width: 14em; }
.jc-notice { padding: 4px 8px; color: var(--jp-error-color1, #d14343); }
`;

export interface Frame {
  box: HTMLElement;
  bar: HTMLElement;
  body: HTMLElement;
  setTitle(text: string): void;
  setState(text: string): void;
  button(label: string, title: string, action: () => void): HTMLButtonElement;
}

/** Add the text as a style sheet to the element. */
export function addStyle(el: HTMLElement, text: string): void {
  el.appendChild(document.createElement("style")).textContent = text;
}

export function makeFrame(el: HTMLElement): Frame {
  addStyle(el, STYLE);
  const box = child(el, "div", "jc-box");
  // Lab must not take the keys for shortcuts of the notebook, nor move the focus.
  box.dataset.lmSuppressShortcuts = "true";
  box.addEventListener("keydown", (event) => event.stopPropagation());
  const bar = child(box, "div", "jc-bar");
  const title = child(bar, "span", "jc-title");
  const state = child(bar, "span", "jc-state");
  child(bar, "span", "jc-space");
  const body = child(box, "div", "jc-body");
  return {
    box,
    bar,
    body,
    setTitle: (text) => {
      title.textContent = text;
      title.title = text;
    },
    setState: (text) => {
      state.textContent = text;
    },
    button: (label, hint, action) => button(bar, label, hint, action),
  };
}

export function child<K extends keyof HTMLElementTagNameMap>(
  parent: Element,
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  parent.appendChild(node);
  return node;
}

export function button(parent: Element, label: string, title: string, action: () => void): HTMLButtonElement {
  const made = child(parent, "button", "jc-button", label);
  made.type = "button";
  made.title = title;
  made.addEventListener("click", action);
  return made;
}

/** A button that asks: the first click arms it for four seconds, the second acts. */
export function askingButton(
  parent: Element,
  label: string,
  question: string,
  title: string,
  action: () => void,
): HTMLButtonElement {
  let timer = 0;
  const rest = (): void => {
    clearTimeout(timer);
    timer = 0;
    made.textContent = label;
    made.classList.remove("jc-danger");
  };
  const made = button(parent, label, title, () => {
    if (timer) {
      rest();
      action();
      return;
    }
    made.textContent = question;
    made.classList.add("jc-danger");
    timer = window.setTimeout(rest, 4000);
  });
  return made;
}
