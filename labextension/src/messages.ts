// Made from jupyter_containers/widgets/messages.py; do not edit.
//
//   python -m tests.typescript

/** The view waits for `hello`; it asks again until that comes. */
export interface Ready {
  kind: "ready";
}

/** The view's notebook was closed. */
export interface Gone {
  kind: "gone";
}

/** The view's output was cleared, or its cell removed. */
export interface Cleared {
  kind: "cleared";
}

/** The answer to `who`. */
export interface Here {
  kind: "here";
}

/** Every view is to say that it is there. */
export interface Who {
  kind: "who";
}

/** An error in one line, empty for none any more; `gone` when what was shown is removed. */
export interface Notice {
  kind: "notice";
  text: string;
  gone: boolean;
}

/** What a screen is, its state in a few words, and whether more may come. */
export interface ScreenState {
  kind: "state";
  title: string;
  state: string;
  running: boolean;
  closable: boolean;
}

/** The same for a new view; the buffer has what was written so far. */
export interface ScreenHello {
  kind: "hello";
  title: string;
  state: string;
  running: boolean;
  closable: boolean;
}

/** More was written: the buffer has it. */
export interface Output {
  kind: "output";
}

/** The terminal has another size, which the view `by` asked for. */
export interface Resized {
  kind: "size";
  rows: number;
  columns: number;
  by: string;
}

/** So many bytes more are drawn. */
export interface Ack {
  kind: "ack";
  bytes: number;
}

/** The reader closes the screen. */
export interface Close {
  kind: "close";
}

/** Keys were typed: the buffer has them. */
export interface Input {
  kind: "input";
}

/** The view has room for so much. */
export interface Size {
  kind: "size";
  rows: number;
  columns: number;
}

/** The process is to end. */
export interface End {
  kind: "end";
}

/** A port; `url` is where a browser may open it, empty where it cannot. */
export interface DashboardPort {
  text: string;
  url: string;
}

/** A container; `cpu` (percent) and `memory` are what it used, the oldest first. */
export interface Row {
  id: string;
  name: string;
  image: string;
  state: string;
  status: string;
  health: string;
  ports: DashboardPort[];
  cpu: number[];
  memory: number[];
  limit: number;
  busy: string;
}

/** All containers. */
export interface Rows {
  kind: "rows";
  rows: Row[];
}

/** All containers, for a new view. */
export interface DashboardHello {
  kind: "hello";
  rows: Row[];
}

/** Do something with a container. */
export interface Act {
  kind: "act";
  action: "logs" | "remove" | "restart" | "start" | "stop" | "terminal";
  id: string;
}

/** What a container uses; rates are bytes a second, `oom` kills since the last sample. */
export interface SampledUsage {
  id: string;
  name: string;
  cpu: number;
  memory: number;
  limit: number;
  received: number;
  sent: number;
  read: number;
  written: number;
  pids: number;
  oom: number;
}

/** What was used at one moment. */
export interface Sample {
  time: number;
  containers: SampledUsage[];
}

/** More samples, the oldest first. */
export interface Samples {
  kind: "samples";
  samples: Sample[];
}

/** The samples of the last minutes, for a new view. */
export interface StatsHello {
  kind: "hello";
  samples: Sample[];
}

/** A layer without its files; `added`, `changed` and `removed` count them. */
export interface LayerLine {
  number: number;
  words: string;
  size: number;
  wasted: number;
  added: number;
  changed: number;
  removed: number;
}

/** A path of which several layers have bytes that cannot be seen. */
export interface WastedPath {
  path: string;
  size: number;
  layers: number;
}

/** An image and its layers; of `wasted_paths` paths those with the most bytes. */
export interface LayersHello {
  kind: "hello";
  name: string;
  size: number;
  efficiency: number;
  wasted: number;
  paths: WastedPath[];
  wasted_paths: number;
  layers: LayerLine[];
}

/**
 * An entry of a folder; `hidden` bytes are those of what the layer removes.
 *
 * `path` is opaque (hexadecimal): names are bytes.  `kind` is empty for an unchanged folder.
 */
export interface TreeEntry {
  name: string;
  path: string;
  kind: "" | "added" | "changed" | "removed";
  folder: boolean;
  size: number;
  hidden: number;
}

/** The entries of a folder from `first` on, of `total`, as `open` asked for them. */
export interface Entries {
  kind: "entries";
  layer: number;
  path: string;
  words: string;
  entries: TreeEntry[];
  first: number;
  total: number;
}

/** How many files of each layer a search has found, by the layer's number. */
export interface Found {
  kind: "found";
  words: string;
  layers: Record<string, number>;
}

/** List a folder of a layer, from the entry `first` on; `words` are those of a search. */
export interface Open {
  kind: "open";
  layer: number;
  path?: string;
  sort?: "name" | "size";
  words?: string;
  first?: number;
}

/** Count the files whose path has these words. */
export interface Search {
  kind: "search";
  words: string;
}

/** A network as a picture, and the names of its members. */
export interface DrawnNetwork {
  name: string;
  svg: string;
  members: string[];
}

/** Something that happened to a network. */
export interface News {
  time: number;
  network: string;
  text: string;
}

/** The networks, their inspect document, and what has happened, the oldest first. */
export interface Drawn {
  kind: "drawn";
  networks: DrawnNetwork[];
  json: string;
  news: News[];
}

/** The same for a new view. */
export interface NetworkHello {
  kind: "hello";
  networks: DrawnNetwork[];
  json: string;
  news: News[];
}

/** A mechanism: its lines are a fact and how it looks from inside and from outside. */
export interface ExplainedSection {
  title: string;
  sentence: string;
  lines: ([string, string, string])[];
}

/** What isolates a container. */
export interface Explained {
  kind: "explained";
  name: string;
  image: string;
  running: boolean;
  sections: ExplainedSection[];
}

/** The same for a new view. */
export interface ExplainHello {
  kind: "hello";
  name: string;
  image: string;
  running: boolean;
  sections: ExplainedSection[];
}

/**
 * A service; `tone` is how good its state is, `colour` that of its lines in the log.
 *
 * `cpu` (percent) and `memory` are those of all its containers.
 */
export interface ServiceLine {
  name: string;
  words: string;
  tone: "bad" | "good" | "off" | "waiting";
  colour: string;
  image: string;
  ports: DashboardPort[];
  needs: string[];
  cpu: number;
  memory: number;
}

/** The services and their picture, which is empty for too many; `busy` is what is done. */
export interface ApplicationDrawn {
  kind: "drawn";
  name: string;
  words: string;
  svg: string;
  services: ServiceLine[];
  containers: number;
  running: number;
  busy: string;
}

/** The same for a new view. */
export interface ApplicationHello {
  kind: "hello";
  name: string;
  words: string;
  svg: string;
  services: ServiceLine[];
  containers: number;
  running: number;
  busy: string;
}

/** Do something with the application, or with one service of it. */
export interface ApplicationAct {
  kind: "act";
  action: "down" | "logs" | "restart" | "start" | "stop";
  service?: string;
}

export type Life = Ready | Gone | Cleared | Here;

export type LogsFromView = Ready | Gone | Cleared | Here | Ack | Close;

export type LogsToView = ScreenHello | ScreenState | Output | Who;

export type TerminalFromView = Ready | Gone | Cleared | Here | Ack | Close | Input | Size | End;

export type TerminalToView = ScreenHello | ScreenState | Output | Resized | Who;

export type DashboardFromView = Ready | Gone | Cleared | Here | Act;

export type DashboardToView = DashboardHello | Rows | Notice | Who;

export type StatsFromView = Ready | Gone | Cleared | Here;

export type StatsToView = StatsHello | Samples | Who;

export type LayersFromView = Ready | Gone | Cleared | Here | Open | Search;

export type LayersToView = LayersHello | Entries | Found | Who;

export type NetworkFromView = Ready | Gone | Cleared | Here;

export type NetworkToView = NetworkHello | Drawn | Notice | Who;

export type ExplainFromView = Ready | Gone | Cleared | Here;

export type ExplainToView = ExplainHello | Explained | Notice | Who;

export type ApplicationFromView = Ready | Gone | Cleared | Here | ApplicationAct;

export type ApplicationToView = ApplicationHello | ApplicationDrawn | Notice | Who;
