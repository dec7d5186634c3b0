import { beforeEach, expect, test, vi } from "vitest";

import { type Row, Tree } from "../src/lab/tree";

const HEIGHT = 400;
let tree: Tree;
let draws: number;
const actions = { toggle: vi.fn(), act: vi.fn(), menu: vi.fn() };

beforeEach(() => {
  vi.clearAllMocks();
  document.body.replaceChildren();
  globalThis.ResizeObserver = class {
    observe() {}
    unobserve() {}
    disconnect() {}
  } as never;
  Object.defineProperty(HTMLElement.prototype, "clientHeight", { configurable: true, value: HEIGHT });
  tree = new Tree(document.body, "Things", actions);
  draws = 0;
});

function row(key: string, more: Partial<Row> = {}): Row {
  const draw = (place: HTMLElement): void => {
    draws++;
    place.textContent = key;
  };
  return { key, level: 2, height: 40, label: key, position: 1, siblings: 1, version: "1", draw, ...more };
}

const many = (count: number): Row[] => Array.from({ length: count }, (_, i) => row(`row${i}`));
const press = (key: string, more: KeyboardEventInit = {}): boolean =>
  tree.node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
const shown = (): string[] =>
  [...document.querySelectorAll<HTMLElement>(".jc-lab-row")].map((node) => node.dataset.key!);

test("of a thousand rows only those near the view are in the page", () => {
  tree.set(many(1000));
  expect(tree.drawnCount).toBe(15); // 400 px in sight, 200 below
  tree.node.scrollTop = 20000;
  tree.set(many(1000));
  expect(shown()).toContain("row500");
  expect(shown()).not.toContain("row0");
  expect(tree.drawnCount).toBeLessThan(25);
});

test("a row is drawn again only when it is different", () => {
  tree.set([row("a"), row("b")]);
  const before = document.querySelector('[data-key="b"]');
  tree.set([row("new"), row("a"), row("b", { version: "2" })]);
  expect(draws).toBe(4);
  expect(document.querySelector('[data-key="b"]')).toBe(before);
});

test("keys move the active row, which stays in the page and in sight", () => {
  tree.set(many(100));
  press("ArrowDown");
  expect(tree.active).toBe("row0");
  press("ArrowDown");
  press("ArrowDown");
  press("ArrowUp");
  expect(tree.active).toBe("row1");
  press("End");
  expect(tree.active).toBe("row99");
  expect(tree.node.scrollTop).toBe(100 * 40 - HEIGHT);
  const told = tree.node.getAttribute("aria-activedescendant");
  expect(document.getElementById(told!)?.dataset.key).toBe("row99");
  press("PageUp");
  expect(tree.active).toBe("row90");
  press("Home");
  expect(tree.active).toBe("row0");
});

test("arrows fold and unfold, and lead to the parent", () => {
  tree.set([row("head", { level: 1, expanded: true }), row("item"), row("other", { level: 1, expanded: false })]);
  tree.activate("item");
  press("ArrowLeft");
  expect(tree.active).toBe("head");
  press("ArrowLeft");
  expect(actions.toggle).toHaveBeenLastCalledWith("head", false);
  tree.activate("other");
  press("ArrowRight");
  expect(actions.toggle).toHaveBeenLastCalledWith("other", true);
  press("Enter");
  expect(actions.toggle).toHaveBeenCalledTimes(3);
});

test("Enter acts, the menu key and a click with the right button open the menu", () => {
  tree.set([row("a")]);
  tree.activate("a");
  press("Enter");
  expect(actions.act).toHaveBeenCalledWith("a");
  press("F10", { shiftKey: true });
  press("ContextMenu");
  document
    .querySelector(".jc-lab-row")!
    .dispatchEvent(new MouseEvent("contextmenu", { bubbles: true, clientX: 3, clientY: 4 }));
  expect(actions.menu).toHaveBeenCalledTimes(3);
  expect(actions.menu).toHaveBeenLastCalledWith("a", 3, 4);
  expect(press("F10")).toBe(true); // not ours
});

test("letters jump to what begins with them", () => {
  tree.set([row("alpha"), row("beta"), row("bravo"), row("gamma")]);
  press("b");
  expect(tree.active).toBe("beta");
  press("r");
  expect(tree.active).toBe("bravo");
});

test("where the active row has gone, the one in its place is active", () => {
  tree.set([row("a"), row("b"), row("c")]);
  tree.activate("b");
  tree.set([row("a"), row("c")]);
  expect(tree.active).toBe("c");
  tree.set([]);
  expect(tree.node.hasAttribute("aria-activedescendant")).toBe(false);
});

test("those who hear the page are told what a row is", () => {
  tree.set([row("x", { label: "web, running", position: 3, siblings: 7, expanded: false })]);
  const node = document.querySelector(".jc-lab-row")!;
  const attributes = ["role", "aria-label", "aria-level", "aria-posinset", "aria-setsize", "aria-expanded"];
  expect(attributes.map((name) => node.getAttribute(name))).toEqual([
    "treeitem",
    "web, running",
    "2",
    "3",
    "7",
    "false",
  ]);
});
