/** The files of a container: folders, download by a click, upload by a button or a drop. */
import type { MainAreaWidget } from "@jupyterlab/apputils";

import { child } from "../frame";
import { decimalSize } from "../quantities";
import type { Client } from "./client";
import { attempt, textOf } from "./dialogs";
import { asMain, Content } from "./mainviews";
import type { ContainerItem, FileEntry, Listing } from "./protocol";

// A server takes messages of up to 10 MiB.
const PART_BYTES = 4 * 1024 * 1024;

export function openFiles(client: Client, container: ContainerItem): MainAreaWidget {
  const content = new Content();
  const view = new FilesView(content.node, client, container);
  void view.go("/");
  return asMain(content, `jupyter-containers-files-${container.id}`, `Files of ${container.name}`);
}

class FilesView {
  private readonly path: HTMLElement;
  private readonly notice: HTMLElement;
  private readonly body: HTMLElement;
  private here = "/";

  constructor(
    place: HTMLElement,
    private readonly client: Client,
    private readonly container: ContainerItem,
  ) {
    const bar = child(place, "div", "jc-lab-main-bar");
    child(bar, "strong", "", container.name);
    this.path = child(bar, "nav", "jc-lab-path");
    this.path.setAttribute("aria-label", "Folder");
    child(bar, "span", "jc-lab-space");
    const pick = child(bar, "input");
    pick.type = "file";
    pick.multiple = true;
    pick.hidden = true;
    pick.setAttribute("aria-label", "Files to upload");
    pick.addEventListener("change", () => void this.upload([...(pick.files ?? [])]).finally(() => (pick.value = "")));
    this.tool(bar, "Upload…", "Upload files to this folder", () => pick.click());
    this.tool(bar, "Download folder", "Download this folder as a tar", () => void this.download(this.here));
    this.tool(bar, "Refresh", "Look again", () => void this.go(this.here));
    this.notice = child(place, "div", "jc-lab-notice");
    this.notice.setAttribute("role", "status");
    this.body = child(place, "div", "jc-lab-main-scroll");
    this.body.tabIndex = 0;
    this.body.setAttribute("role", "region");
    this.body.setAttribute("aria-label", "Files");
    this.body.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.body.classList.add("jc-lab-drop");
    });
    this.body.addEventListener("dragleave", () => this.body.classList.remove("jc-lab-drop"));
    this.body.addEventListener("drop", (event) => {
      event.preventDefault();
      this.body.classList.remove("jc-lab-drop");
      void this.upload([...(event.dataTransfer?.files ?? [])]);
    });
  }

  async go(path: string): Promise<void> {
    try {
      const listing = await this.client.call({ do: "files", container: this.container.id, path });
      this.here = listing.path || "/";
      this.notice.textContent = listing.left_out ? `${listing.left_out} more entries are not shown` : "";
      this.draw(listing);
    } catch (error) {
      this.notice.textContent = textOf(error);
    }
  }

  private tool(bar: HTMLElement, label: string, hint: string, act: () => void): void {
    const made = child(bar, "button", "jc-lab-tool", label);
    made.type = "button";
    made.title = hint;
    made.addEventListener("click", act);
  }

  private draw(listing: Listing): void {
    this.path.replaceChildren();
    const parts = this.here.split("/").filter(Boolean);
    const step = (text: string, path: string): void => {
      const link = child(this.path, "button", "jc-lab-link", text);
      link.type = "button";
      link.addEventListener("click", () => void this.go(path));
    };
    step("/", "/");
    parts.forEach((part, index) => {
      if (index) this.path.append(" / ");
      else this.path.append(" ");
      step(part, `/${parts.slice(0, index + 1).join("/")}`);
    });
    this.body.replaceChildren();
    const table = child(this.body, "table", "jc-lab-files");
    const head = child(child(table, "thead"), "tr");
    for (const title of ["Name", "Size", "Mode", "Changed"]) child(head, "th", "", title);
    const lines = child(table, "tbody");
    for (const entry of listing.entries) this.drawEntry(lines, entry);
    if (!listing.entries.length) child(this.body, "p", "jc-lab-nothing", "an empty folder");
  }

  private drawEntry(lines: HTMLElement, entry: FileEntry): void {
    const line = child(lines, "tr");
    const name = child(line, "td");
    const path = `${this.here === "/" ? "" : this.here}/${entry.name}`;
    const shown =
      entry.kind === "folder" ? `${entry.name}/` : entry.target ? `${entry.name} → ${entry.target}` : entry.name;
    if (entry.kind === "other") {
      child(name, "span", "", shown);
    } else {
      const link = child(name, "button", "jc-lab-link", shown);
      link.type = "button";
      link.title = entry.kind === "folder" ? "Open" : entry.kind === "file" ? "Download" : "Follow";
      link.addEventListener("click", () => void this.follow(entry, path));
    }
    child(line, "td", "jc-lab-number", entry.kind === "file" ? decimalSize(entry.size) : "");
    child(line, "td", "jc-lab-mode", entry.mode);
    child(line, "td", "jc-lab-number", new Date(entry.modified * 1000).toLocaleString());
  }

  private async follow(entry: FileEntry, path: string): Promise<void> {
    if (entry.kind === "file") return this.download(path);
    if (entry.kind === "folder") return this.go(path);
    // A link to a folder is opened, a link to a file downloaded.
    try {
      await this.client.call({ do: "files", container: this.container.id, path });
    } catch {
      return this.download(path);
    }
    return this.go(path);
  }

  private async download(path: string): Promise<void> {
    const done = await attempt("Download", () =>
      this.client.exchange({ do: "download", container: this.container.id, path }),
    );
    const data = done?.buffers[0];
    if (!done || !data) return;
    const url = URL.createObjectURL(new Blob([data as DataView<ArrayBuffer>]));
    const link = document.createElement("a");
    link.href = url;
    link.download = done.value.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  private async send(file: File): Promise<void> {
    const folder = this.here;
    const token = crypto.randomUUID?.() ?? `${Date.now()} ${Math.random()}`;
    // An empty file also has one part.
    for (let offset = 0; offset === 0 || offset < file.size; offset += PART_BYTES) {
      const share = file.size ? Math.floor((100 * offset) / file.size) : 0;
      this.notice.textContent = `uploading ${file.name} … ${share} %`;
      const last = offset + PART_BYTES >= file.size;
      const part = await file.slice(offset, offset + PART_BYTES).arrayBuffer();
      await this.client.exchange(
        { do: "upload", container: this.container.id, folder, name: file.name, token, offset, last },
        [part],
      );
    }
  }

  private async upload(files: File[]): Promise<void> {
    for (const file of files) {
      await attempt(`Upload of ${file.name}`, () => this.send(file));
    }
    if (files.length) await this.go(this.here);
  }
}
