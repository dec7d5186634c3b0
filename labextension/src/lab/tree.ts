/**
 * A tree of thousands of rows, of which only the visible ones are in the page.
 *
 * It has the keys and the roles of the ARIA tree pattern: one stop for the Tab key, arrows move the
 * active row, Left and Right fold and unfold, Enter acts, the menu key (or Shift+F10) opens the menu.
 * Rows have a stable key; drawn rows are kept and updated, so a click never hits another row.
 */
import { child } from "../frame";

export interface Row {
  key: string;
  level: number;
  height: number;
  /** A label for screen readers, and for jumping to the row by typing. */
  label: string;
  expanded?: boolean;
  position: number; // from 1, among its siblings
  siblings: number;
  /** Changes when the row must be redrawn. */
  version: string;
  draw(place: HTMLElement): void;
}

export interface TreeActions {
  toggle(key: string, open: boolean): void;
  act(key: string): void;
  menu(key: string, x: number, y: number): void;
}

const BEYOND = 200; // pixels drawn above and below what is in sight
const TYPING_MS = 700;

export class Tree {
  readonly node: HTMLElement;
  private readonly space: HTMLElement;
  private rows: Row[] = [];
  private tops: number[] = [];
  private index = new Map<string, number>();
  private readonly drawn = new Map<string, { node: HTMLElement; version: string }>();
  private activeKey = "";
  private typed = "";
  private typedAt = 0;
  private frame = 0;

  constructor(
    parent: HTMLElement,
    label: string,
    private readonly actions: TreeActions,
  ) {
    this.node = child(parent, "div", "jc-lab-tree");
    this.node.setAttribute("role", "tree");
    this.node.setAttribute("aria-label", label);
    this.node.tabIndex = 0;
    this.space = child(this.node, "div", "jc-lab-tree-space");
    this.space.setAttribute("role", "presentation");
    this.node.addEventListener("scroll", () => this.drawSoon(), { passive: true });
    this.node.addEventListener("keydown", (event) => this.onKey(event));
    this.node.addEventListener("mousedown", (event) => this.onPress(event));
    this.node.addEventListener("dblclick", (event) => {
      const key = this.keyAt(event);
      if (key) this.actions.act(key);
    });
    this.node.addEventListener("contextmenu", (event) => {
      const key = this.keyAt(event);
      if (!key) return;
      event.preventDefault();
      event.stopPropagation();
      this.activate(key);
      this.actions.menu(key, event.clientX, event.clientY);
    });
    this.node.addEventListener("focus", () => {
      if (!this.index.has(this.activeKey) && this.rows[0]) this.activate(this.rows[0].key);
    });
    new ResizeObserver(() => this.drawSoon()).observe(this.node);
  }

  get active(): string {
    return this.activeKey;
  }

  /** The number of rows in the page, for tests. */
  get drawnCount(): number {
    return this.drawn.size;
  }

  set(rows: Row[]): void {
    const before = this.index.get(this.activeKey);
    this.rows = rows;
    this.tops = [];
    this.index = new Map();
    let top = 0;
    rows.forEach((row, i) => {
      this.tops.push(top);
      this.index.set(row.key, i);
      top += row.height;
    });
    this.space.style.height = `${top}px`;
    if (before !== undefined && !this.index.has(this.activeKey)) {
      // The active row was removed: the row in its place becomes active.
      const near = rows[Math.min(before, rows.length - 1)];
      this.activeKey = near?.key ?? "";
    }
    this.draw();
  }

  activate(key: string, show = true): void {
    const position = this.index.get(key);
    if (position === undefined) return;
    this.activeKey = key;
    if (show) {
      const top = this.tops[position]!;
      const { height } = this.rows[position]!;
      const { scrollTop, clientHeight } = this.node;
      if (top < scrollTop) this.node.scrollTop = top;
      else if (top + height > scrollTop + clientHeight) this.node.scrollTop = top + height - clientHeight;
    }
    this.draw();
  }

  private drawSoon(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private draw(): void {
    const { scrollTop, clientHeight } = this.node;
    const first = this.firstBelow(scrollTop - BEYOND);
    const wanted = new Set<string>();
    for (let i = first; i < this.rows.length && this.tops[i]! < scrollTop + clientHeight + BEYOND; i++) {
      const row = this.rows[i]!;
      wanted.add(row.key);
      this.drawRow(row, this.tops[i]!);
    }
    // The active row stays in the page, because it is announced as focused.
    const active = this.index.get(this.activeKey);
    if (active !== undefined) {
      wanted.add(this.activeKey);
      this.drawRow(this.rows[active]!, this.tops[active]!);
      this.node.setAttribute("aria-activedescendant", this.idOf(this.activeKey));
    } else {
      this.node.removeAttribute("aria-activedescendant");
    }
    for (const [key, { node }] of this.drawn) {
      if (!wanted.has(key)) {
        node.remove();
        this.drawn.delete(key);
      }
    }
  }

  private drawRow(row: Row, top: number): void {
    let known = this.drawn.get(row.key);
    if (!known) {
      known = { node: child(this.space, "div"), version: "" };
      known.node.id = this.idOf(row.key);
      known.node.dataset.key = row.key;
      known.node.setAttribute("role", "treeitem");
      this.drawn.set(row.key, known);
    }
    const { node } = known;
    const active = row.key === this.activeKey;
    node.className = `jc-lab-row jc-lab-level${row.level}${active ? " jc-lab-active" : ""}`;
    node.style.transform = `translateY(${top}px)`;
    node.style.height = `${row.height}px`;
    node.setAttribute("aria-level", String(row.level));
    node.setAttribute("aria-posinset", String(row.position));
    node.setAttribute("aria-setsize", String(row.siblings));
    node.setAttribute("aria-selected", String(active));
    node.setAttribute("aria-label", row.label);
    if (row.expanded === undefined) node.removeAttribute("aria-expanded");
    else node.setAttribute("aria-expanded", String(row.expanded));
    if (known.version !== row.version) {
      known.version = row.version;
      node.replaceChildren();
      row.draw(node);
    }
  }

  private idOf(key: string): string {
    return `jc-lab-row-${key.replaceAll(/[^\w-]/g, "_")}`;
  }

  private firstBelow(offset: number): number {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tops[middle]! + this.rows[middle]!.height < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private keyAt(event: Event): string {
    const row = (event.target as Element).closest<HTMLElement>(".jc-lab-row");
    return row?.dataset.key ?? "";
  }

  private onPress(event: MouseEvent): void {
    const key = this.keyAt(event);
    const target = event.target as Element;
    if (!key || target.closest("a, button")) return;
    this.activate(key, false);
    const row = this.rows[this.index.get(key)!]!;
    if (event.button === 0 && row.expanded !== undefined) this.actions.toggle(key, !row.expanded);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.target !== this.node) return;
    const position = this.index.get(this.activeKey) ?? -1;
    const row = this.rows[position];
    const page = Math.max(1, Math.floor(this.node.clientHeight / (row?.height ?? 40)) - 1);
    const go = (to: number): void => {
      const next = this.rows[Math.min(Math.max(to, 0), this.rows.length - 1)];
      if (next) this.activate(next.key);
    };
    const { key } = event;
    if (key === "ArrowDown") go(position + 1);
    else if (key === "ArrowUp") go(position - 1);
    else if (key === "Home") go(0);
    else if (key === "End") go(this.rows.length - 1);
    else if (key === "PageDown") go(position + page);
    else if (key === "PageUp") go(position - page);
    else if (key === "ArrowRight" && row?.expanded === false) this.actions.toggle(row.key, true);
    else if (key === "ArrowRight" && row?.expanded) go(position + 1);
    else if (key === "ArrowLeft" && row?.expanded) this.actions.toggle(row.key, false);
    else if (key === "ArrowLeft" && row) go(this.parentOf(position));
    else if ((key === "Enter" || key === " ") && row?.expanded !== undefined)
      this.actions.toggle(row.key, !row.expanded);
    else if (key === "Enter" && row) this.actions.act(row.key);
    else if ((key === "ContextMenu" || (key === "F10" && event.shiftKey)) && row) this.openMenu(row.key);
    else if (key.length === 1 && key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey)
      this.jump(key, position);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Open the menu of a row below it. */
  openMenu(key: string): void {
    const box = this.drawn.get(key)?.node.getBoundingClientRect();
    if (box) this.actions.menu(key, box.left + 24, Math.min(box.bottom, window.innerHeight - 8));
  }

  private parentOf(position: number): number {
    const { level } = this.rows[position]!;
    for (let i = position - 1; i >= 0; i--) if (this.rows[i]!.level < level) return i;
    return position;
  }

  private jump(letter: string, position: number): void {
    const now = Date.now();
    this.typed = now - this.typedAt > TYPING_MS ? letter : this.typed + letter;
    this.typedAt = now;
    const wanted = this.typed.toLowerCase();
    const start = this.typed.length > 1 ? position : position + 1;
    for (let i = 0; i < this.rows.length; i++) {
      const row = this.rows[(start + i) % this.rows.length]!;
      if (row.label.toLowerCase().startsWith(wanted)) {
        this.activate(row.key);
        return;
      }
    }
  }
}
