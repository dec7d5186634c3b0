/** The frame of all widgets: a box with a bar of buttons above its content. */
import css from "./frame.css";

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
  addStyle(el, css);
  const box = child(el, "div", "jc-frame");
  // Lab must not handle the keys as shortcuts of the notebook, nor move the focus.
  box.dataset.lmSuppressShortcuts = "true";
  box.addEventListener("keydown", (event) => event.stopPropagation());
  const bar = child(box, "div", "jc-frame-bar");
  const title = child(bar, "span", "jc-frame-title");
  const state = child(bar, "span", "jc-frame-state");
  child(bar, "span", "jc-frame-space");
  const body = child(box, "div", "jc-frame-body");
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
  const made = child(parent, "button", "jc-frame-button", label);
  made.type = "button";
  made.title = title;
  made.addEventListener("click", action);
  return made;
}

/** A button with confirmation: the first click arms it for four seconds, the second acts. */
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
    made.classList.remove("jc-frame-danger");
  };
  const made = button(parent, label, title, () => {
    if (timer) {
      rest();
      action();
      return;
    }
    made.textContent = question;
    made.classList.add("jc-frame-danger");
    timer = window.setTimeout(rest, 4000);
  });
  return made;
}
