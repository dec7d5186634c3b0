import { expect, test } from "vitest";

import { Client } from "../src/lab/client";
import { quoted, registryOf } from "../src/lab/commandline";
import { actionsOf, nameOf, SECTION_ACTIONS } from "../src/lab/menus";
import { actionsOfProject, grouped, projectOf } from "../src/lab/projects";
import type { ContainerItem, ImageItem, Section } from "../src/lab/protocol";
import { itemOf, rowsOf, type View } from "../src/lab/rows";
import { status } from "../src/lab/status";

const NOW = 1_000_000;
const EXITED = { state: "exited" };

function container(name: string, more: Partial<ContainerItem> = {}): ContainerItem {
  return {
    id: `id-${name}`,
    name,
    image: "busybox",
    command: "sh",
    state: "running",
    status: "Up {age}",
    since: NOW - 90,
    health: "",
    created: NOW - 100,
    exit_code: -1,
    ports: [],
    project: "",
    service: "",
    session: "",
    ...more,
  };
}

function image(id: string, names: string[], created: number): ImageItem {
  return { id: `sha256:${id.padEnd(64, "0")}`, names, created, size: 1_000_000, containers: 0 };
}

function filled(): Client {
  const client = new Client({ send: () => undefined, close: () => undefined });
  const tell = (section: Section, put: object[]): void =>
    client.receive({ kind: "changes", section, put, gone: [], whole: true });
  tell("containers", [
    container("old", { ...EXITED, exit_code: 3, status: "Exited (3) {age} ago", since: NOW - 5, created: NOW }),
    container("web", {
      health: "healthy",
      ports: [
        { text: "8000→80", url: "http://x/" },
        { text: "443/tcp", url: "" },
      ],
    }),
    container("db", { created: NOW - 50 }),
  ]);
  tell("images", [image("aa", ["app:1", "app:latest"], 5), image("bb", [], 9)]);
  return client;
}

function view(more: Partial<View> = {}): View {
  return {
    filter: "",
    folded: new Set(),
    foldedProjects: new Set(),
    now: NOW,
    busy: new Map(),
    press: () => undefined,
    ...more,
  };
}

test("sections have their items: what lives first, then the newest", () => {
  const rows = rowsOf(filled(), view());
  expect(rows.map((row) => row.label.split(",")[0])).toEqual([
    "Containers",
    "db",
    "web",
    "old",
    "Images",
    "<none>",
    "app:1",
  ]);
  expect(rows[2]).toMatchObject({ position: 2, siblings: 3, level: 2 });
  expect(rows[2]!.label).toBe("web, healthy, Up About a minute · busybox");
});

test("a session has a badge, its memory and the cell that it runs", () => {
  const client = filled();
  const put = [container("py", { session: "python" })];
  client.receive({ kind: "changes", section: "containers", put, gone: [], whole: true });
  const usage = { id: "id-py", cpu: 12, memory: 2 ** 20, memory_limit: 0, cell: "total = sum(numbers)" };
  client.receive({ kind: "used", usage: [usage] });
  expect(rowsOf(client, view())[1]!.label).toBe("py, session, runs total = sum(numbers) · busybox, 12 % · 1MiB");
  client.receive({ kind: "used", usage: [{ ...usage, cell: "" }] });
  expect(rowsOf(client, view())[1]!.label).toContain("py, session, Up About a minute · busybox");
});

test("a filter keeps what has all its words, and says how many", () => {
  const rows = rowsOf(filled(), view({ filter: "BUSY exited" }));
  expect(rows.map((row) => row.label)).toEqual([
    "Containers, 1 of 3",
    "old, Exited (3) 5 seconds ago · busybox",
    "Images, 0 of 2",
    "nothing of this name",
  ]);
});

test("a folded section keeps its items to itself", () => {
  const rows = rowsOf(filled(), view({ folded: new Set<Section>(["containers"]) }));
  expect(rows[0]).toMatchObject({ key: "containers", expanded: false });
  expect(rows[1]!.key).toBe("images");
});

test("the containers of a project stand below its row, which folds and acts", () => {
  const client = filled();
  const put = [
    container("shop-db-1", { project: "shop", service: "db", created: 1 }),
    container("shop-web-1", { ...EXITED, project: "shop", service: "web" }),
  ];
  client.receive({ kind: "changes", section: "containers", put, gone: [], whole: false });
  const pressed: string[] = [];
  const press = (key: string, action: string): number => pressed.push(`${key} ${action}`);
  const rows = rowsOf(client, view({ press }));
  expect(rows.slice(0, 5).map((row) => [row.key, row.level])).toEqual([
    ["containers", 1],
    ["project/shop", 2],
    ["containers/id-shop-db-1", 3],
    ["containers/id-shop-web-1", 3],
    ["containers/id-db", 2],
  ]);
  expect(rows[1]).toMatchObject({ position: 1, siblings: 4, expanded: true });
  expect(rows[1]!.label).toBe("project shop, 1 of 2 containers running");
  expect(rows[4]).toMatchObject({ position: 2, siblings: 4 });
  const place = document.createElement("div");
  rows[1]!.draw(place);
  place.querySelector<HTMLElement>('[data-action="stop"]')!.click();
  expect(pressed).toEqual(["project/shop stop"]);
  expect(projectOf(rows[1]!.key)).toBe("shop");
  expect(itemOf(client, rows[1]!.key).item).toBeUndefined();
  const folded = rowsOf(client, view({ foldedProjects: new Set(["shop"]) }));
  expect(folded[2]!.key).toBe("containers/id-db");
  const found = grouped(put);
  expect(actionsOfProject(found[0]!).flat()).toMatchObject([
    { name: "start", enabled: true },
    { name: "stop", enabled: true },
    { name: "restart", enabled: true },
    { name: "logs" },
    { name: "down" },
  ]);
});

test("a row shows ports as links, and what is being done", () => {
  const pressed: string[][] = [];
  const busy = new Map([["containers/id-web", "stopping …"]]);
  const rows = rowsOf(filled(), view({ busy, press: (key, action) => pressed.push([key, action]) }));
  const place = document.createElement("div");
  rows[2]!.draw(place);
  expect(place.querySelector("a")!.href).toBe("http://x/");
  expect(place.querySelectorAll(".jc-lab-port").length).toBe(1);
  expect(place.textContent).toContain("stopping …");
  place.querySelector<HTMLElement>('[data-action="stop"]')!.click();
  expect(pressed).toEqual([["containers/id-web", "stop"]]);
});

test("keys lead back to items", () => {
  const client = filled();
  expect(itemOf(client, "containers/id-web").item?.id).toBe("id-web");
  expect(itemOf(client, "containers").item).toBeUndefined();
  expect(itemOf(client, "images//empty").item).toBeUndefined();
});

test("the menu offers what can be done in a state", () => {
  const enabled = (item: ContainerItem): string[] =>
    actionsOf("containers", item)
      .flat()
      .filter((one) => one.enabled !== false)
      .map((one) => one.name);
  expect(enabled(container("a"))).toEqual([
    "stop",
    "restart",
    "pause",
    "logs",
    "terminal",
    "files",
    "inspect",
    "commit",
    "copy-id",
    "remove",
  ]);
  expect(enabled(container("a", EXITED))).toEqual(["start", "logs", "files", "inspect", "commit", "copy-id", "remove"]);
  expect(enabled(container("a", { state: "paused" }))).toContain("unpause");
  const registry = (local: string, credentials: boolean) => ({ id: "r", container: local, volume: "", credentials });
  const offered = [registry("box", false), registry("", true)].map((item) =>
    actionsOf("registries", item)
      .flat()
      .filter((one) => one.enabled !== false)
      .map((one) => one.name),
  );
  expect(offered).toEqual([
    ["repositories", "logs", "login", "stop-registry"],
    ["repositories", "logout"],
  ]);
  expect(nameOf("images", image("abcdef", [], 1))).toBe("abcdef000000");
});

test("a status is as old as the page's clock says", () => {
  const item = container("a", { status: "Exited (137, out of memory) {age} ago", since: NOW - 3 });
  expect(status(item, NOW)).toBe("Exited (137, out of memory) 3 seconds ago");
  expect(status(item, NOW + 60)).toBe("Exited (137, out of memory) About a minute ago");
  expect(status(container("a", { status: "Created", since: 0 }), NOW)).toBe("Created");
});

test("words of a command line are quoted where they have to be", () => {
  expect([quoted("a:/b-c"), quoted("it's"), quoted("a b")]).toEqual(["a:/b-c", `'it'"'"'s'`, "'a b'"]);
});

test("a name says which registry it means", () => {
  expect(
    ["busybox", "ada/app", "localhost/app", "localhost:5000/app:1", "ghcr.io/a/b@sha256:0"].map(registryOf),
  ).toEqual(["docker.io", "docker.io", "localhost", "localhost:5000", "ghcr.io"]);
});

test("a section's header has a menu where the section can do something", () => {
  const pressed: string[] = [];
  const rows = rowsOf(filled(), view({ press: (key, action) => pressed.push(`${key} ${action}`) }));
  const place = document.createElement("div");
  rows.find((row) => row.key === "images")!.draw(place);
  place.querySelector("button")!.click();
  expect(pressed).toEqual(["images menu"]);
  expect(SECTION_ACTIONS.images.map((action) => action.name)).toEqual(["pull"]);
});
