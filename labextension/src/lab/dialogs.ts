/** Dialogs: run an image, prune with a preview, confirmations, failures. */
import { Dialog, Notification, showDialog } from "@jupyterlab/apputils";
import { Widget } from "@lumino/widgets";

import { child } from "../frame";
import { decimalSize, plural } from "../quantities";
import { CallError, type Client } from "./client";
import { quoted } from "./commandline";
import type { PruneGroup } from "./protocol";

/** Perform an action and show its failure. */
export async function attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    Notification.error(`${what}: ${textOf(error)}`, { autoClose: 10000 });
    return undefined;
  }
}

export function textOf(error: unknown): string {
  return error instanceof CallError ? error.text : error instanceof Error ? error.message : String(error);
}

/** A remedy for a failure: a button of its notification. */
export interface Remedy {
  label: string;
  after: string; // the name of the failure
  execute(): unknown;
}

/** Execute a command line while a notification shows its progress; return its output. */
export async function runCommand(
  client: Client,
  what: string,
  line: string,
  remedy?: Remedy,
): Promise<string | undefined> {
  const id = Notification.emit(`${what} …`, "in-progress", { autoClose: false });
  try {
    const { text } = await client.call({ do: "command", line }, (progress) =>
      Notification.update({ id, message: `${what}: ${progress}` }),
    );
    Notification.update({ id, message: `${what}: done`, type: "success", autoClose: 4000 });
    return text;
  } catch (error) {
    const helps = error instanceof CallError && error.name === remedy?.after;
    const actions = helps
      ? [{ label: remedy.label, callback: () => void remedy.execute(), displayType: "accent" as const }]
      : [];
    // The button is the hint.
    const text = helps ? error.message : textOf(error);
    Notification.update({ id, message: `${what}: ${text}`, type: "error", autoClose: helps ? 60000 : 15000, actions });
    return undefined;
  }
}

export async function confirm(title: string, body: string, label: string): Promise<boolean> {
  const result = await showDialog({ title, body, buttons: [Dialog.cancelButton(), Dialog.warnButton({ label })] });
  return result.button.accept;
}

class Form extends Widget implements Dialog.IBodyWidget<string> {
  constructor(private readonly read: () => string) {
    super();
    this.addClass("jc-lab-form");
  }

  getValue(): string {
    return this.read();
  }

  field(label: string, hint: string, value = ""): HTMLInputElement {
    const line = child(this.node, "label", "jc-lab-field");
    child(line, "span", "", label);
    const input = child(line, "input", "jp-mod-styled");
    input.placeholder = hint;
    input.value = value;
    input.spellcheck = false;
    return input;
  }

  /** A line with the current error, if any. */
  problem(text: string): void {
    const line = child(this.node, "p", "jc-lab-problem", text);
    line.setAttribute("role", "alert");
    line.hidden = !text;
  }

  tick(label: string, ticked: boolean): HTMLInputElement {
    const line = child(this.node, "label", "jc-lab-tick");
    const input = child(line, "input");
    input.type = "checkbox";
    input.checked = ticked;
    child(line, "span", "", label);
    return input;
  }
}

/** Ask how to run an image; return the command line, or undefined. */
export async function askRun(image: string): Promise<string> {
  const form: Form = new Form(() => line());
  const name = form.field("Name", "made up when empty");
  const ports = form.field("Publish", "8000:80 8443:443");
  const volumes = form.field("Volumes", "data:/data ./work:/work");
  const variables = form.field("Variables", "KEY=value OTHER=more");
  const command = form.field("Command", "the image's own");
  const remove = form.tick("Remove the container when it ends", false);
  const preview = child(form.node, "output", "jc-lab-preview");
  preview.setAttribute("aria-label", "The command line");
  const several = (flag: string, input: HTMLInputElement): string[] =>
    input.value
      .split(/\s+/)
      .filter(Boolean)
      .flatMap((word) => [flag, quoted(word)]);
  const line = (): string =>
    [
      "run",
      "-d",
      ...(remove.checked ? ["--rm"] : []),
      ...(name.value.trim() ? ["--name", quoted(name.value.trim())] : []),
      ...several("-p", ports),
      ...several("-v", volumes),
      ...several("-e", variables),
      quoted(image),
      ...(command.value.trim() ? [command.value.trim()] : []),
    ].join(" ");
  const show = (): void => {
    preview.textContent = `%container ${line()}`;
  };
  form.node.addEventListener("input", show);
  show();
  const result = await showDialog({
    title: `Run ${image}`,
    body: form,
    focusNodeSelector: "input",
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: "Run" })],
  });
  return result.button.accept ? (result.value ?? "") : "";
}

/** Ask for credentials until a registry accepts them or the user cancels; return whether it did. */
export async function logIn(client: Client, registry = ""): Promise<boolean> {
  let [server, username, problem] = [registry, "", ""];
  for (;;) {
    const form: Form = new Form(() => "");
    form.problem(problem);
    const place = form.field("Registry", "docker.io", server);
    const name = form.field("User", "", username);
    const secret = form.field("Password", "or a token");
    secret.type = "password";
    secret.autocomplete = "off";
    const focused = server ? (username ? secret : name) : place;
    focused.dataset.focus = "";
    const answer = await showDialog({
      title: "Log in to a registry",
      body: form,
      focusNodeSelector: "[data-focus]",
      buttons: [Dialog.cancelButton(), Dialog.okButton({ label: "Log in" })],
    });
    if (!answer.button.accept) return false;
    server = place.value.trim();
    username = name.value.trim();
    const id = Notification.emit(`Log in to ${server || "docker.io"} …`, "in-progress", { autoClose: false });
    try {
      const { text } = await client.call({ do: "login", registry: server, username, password: secret.value });
      // The last line is the result; the lines before are warnings about the password's storage.
      const [result, ...warnings] = text.trim().split("\n").reverse();
      const message = [`${server || "docker.io"}: ${result}`, ...warnings.reverse()].join(" ");
      Notification.update({ id, message, type: "success", autoClose: warnings.length ? 8000 : 4000 });
      return true;
    } catch (error) {
      Notification.dismiss(id);
      problem = error instanceof CallError && error.name === "UnauthorizedError" ? error.message : textOf(error);
    }
  }
}

/** Ask what to prune, showing the objects and the freed space; then prune. */
export async function prune(client: Client): Promise<void> {
  let groups: PruneGroup[] = [];
  const form: Form = new Form(() => JSON.stringify(chosen()));
  const wide = form.tick("Also images and volumes with a name", false);
  const list = child(form.node, "div", "jc-lab-prune");
  const total = child(form.node, "div", "jc-lab-total");
  total.setAttribute("role", "status");
  const ticks = new Map<string, HTMLInputElement>();
  const chosen = (): string[] => groups.filter((group) => ticks.get(group.name)?.checked).map((group) => group.name);
  const sum = (): void => {
    const names = new Set(chosen());
    const going = groups.filter((group) => names.has(group.name));
    const count = going.reduce((all, group) => all + group.items.length, 0);
    const size = going.reduce((all, group) => all + group.size, 0);
    total.textContent = count
      ? `${plural(count, "thing")} would go; that frees ${decimalSize(size)}`
      : "nothing would go";
  };
  const look = async (): Promise<void> => {
    total.textContent = "looking …";
    const found = await attempt("Prune", () => client.call({ do: "prune_preview", all: wide.checked }));
    if (!found) return;
    const before = new Map([...ticks].map(([name, input]) => [name, input.checked]));
    groups = found;
    list.replaceChildren();
    ticks.clear();
    for (const group of groups)
      ticks.set(group.name, drawGroup(list, group, before.get(group.name) ?? group.name !== "volumes", sum));
    sum();
  };
  wide.addEventListener("change", () => void look());
  void look();
  const result = await showDialog({
    title: "Remove unused objects",
    body: form,
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: "Remove" })],
  });
  const names = chosen();
  if (!result.button.accept || !names.length) return;
  const done = await attempt("Prune", () => client.call({ do: "prune", groups: names, all: wide.checked }));
  if (done)
    Notification.success(`${plural(done.removed, "thing")} removed, ${decimalSize(done.freed)} freed`, {
      autoClose: 6000,
    });
}

function drawGroup(list: HTMLElement, group: PruneGroup, ticked: boolean, change: () => void): HTMLInputElement {
  const box = child(list, "div", "jc-lab-group");
  const head = child(box, "label", "jc-lab-tick");
  const input = child(head, "input");
  input.type = "checkbox";
  input.disabled = !group.items.length;
  input.checked = ticked && !input.disabled;
  input.addEventListener("change", change);
  child(head, "span", "jc-lab-group-title", group.title);
  child(
    head,
    "span",
    "jc-lab-group-size",
    group.items.length ? `${group.items.length} · ${decimalSize(group.size)}` : "none",
  );
  if (!group.items.length) return input;
  const details = child(box, "details");
  child(details, "summary", "", "what goes");
  const items = child(details, "ul");
  for (const item of group.items.slice(0, 200))
    child(items, "li", "", item.size ? `${item.name} (${decimalSize(item.size)})` : item.name);
  if (group.items.length > 200) child(items, "li", "", `… and ${group.items.length - 200} more`);
  return input;
}
