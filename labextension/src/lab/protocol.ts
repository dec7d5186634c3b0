// Made from jupyter_containers/panel/messages.py; do not edit.
//
//   python -m tests.typescript

export const VERSION = 2;

/** A port; `url` is its address for a browser, empty if there is none. */
export interface Port {
  text: string;
  url: string;
}

/**
 * A container; `exit_code` is -1 before its first end.
 *
 * `status` is the text of `ps`, with `{age}` in place of the time since `since`.
 * `project` and `service` are those of a Compose file, empty for other containers; `session`
 * is the language of a session, `any` if the image chose it.
 */
export interface ContainerItem {
  id: string;
  name: string;
  image: string;
  command: string;
  state: string;
  status: string;
  since: number;
  health: string;
  created: number;
  exit_code: number;
  ports: Port[];
  project: string;
  service: string;
  session: string;
}

/** An image; without names it is dangling.  `containers` were created from it. */
export interface ImageItem {
  id: string;
  names: string[];
  created: number;
  size: number;
  containers: number;
}

/** A volume and the names of the containers that use it. */
export interface VolumeItem {
  id: string;
  driver: string;
  mountpoint: string;
  created: number;
  containers: string[];
}

/** A network and the names of the containers in it; a `fixed` one always exists. */
export interface NetworkItem {
  id: string;
  name: string;
  driver: string;
  subnet: string;
  internal: boolean;
  fixed: boolean;
  containers: string[];
}

/** A build that has ended; `source` is the cell or file, `place` a cell's ID. */
export interface BuildItem {
  id: string;
  name: string;
  source: string;
  place: string;
  image: string;
  started: number;
  seconds: number;
  steps: number;
  cached: number;
  outcome: string;
  error: string;
}

/** A registry: one that runs here (in `container`), one with `credentials`, or both. */
export interface RegistryItem {
  id: string;
  container: string;
  volume: string;
  credentials: boolean;
}

/**
 * The current usage of a container; `memory_limit` is 0 for none.
 *
 * `cell` is the first line of the cell that runs in this kernel's session.
 */
export interface Usage {
  id: string;
  cpu: number;
  memory: number;
  memory_limit: number;
  cell: string;
}

/**
 * The panel is visible or hidden: the usage of containers is measured only while it is visible.
 *
 * A visible page repeats this message every half minute.
 */
export interface Watch {
  do: "watch";
  visible: boolean;
}

/** Perform an action on a container; a removal is forced. */
export interface Act {
  do: "act";
  action: "kill" | "pause" | "remove" | "restart" | "start" | "stop" | "unpause";
  id: string;
}

/** Do something with all containers of a project; `down` removes them and its networks. */
export interface ActOnProject {
  do: "act_on_project";
  action: "down" | "restart" | "start" | "stop";
  project: string;
}

/** Remove an image (or one of its names), volume or network. */
export interface Remove {
  do: "remove";
  what: "container" | "image" | "network" | "volume";
  name: string;
  force?: boolean;
}

/** Give an image another name. */
export interface Tag {
  do: "tag";
  image: string;
  name: string;
}

/** Execute a command line like `%container`, and report its progress. */
export interface Command {
  do: "command";
  line: string;
}

/**
 * Check credentials with a registry (a name or address, empty for Docker Hub) and store them.
 *
 * They are not part of a command line, so that no message can contain them.
 */
export interface Login {
  do: "login";
  registry: string;
  username: string;
  password: string;
}

/** Return Docker's inspect document. */
export interface Inspect {
  do: "inspect";
  what: "container" | "image" | "network" | "volume";
  name: string;
}

/** Return the objects that a prune would remove; with `all` also unused named ones. */
export interface PrunePreview {
  do: "prune_preview";
  all: boolean;
}

/** Remove the groups of a preview. */
export interface Prune {
  do: "prune";
  groups: string[];
  all: boolean;
}

/** List a folder of a container. */
export interface Files {
  do: "files";
  container: string;
  path: string;
}

/** Return a file of a container, a folder as a tar, in the answer's buffer. */
export interface Download {
  do: "download";
  container: string;
  path: string;
}

/**
 * Upload a file to a folder of a container: the call's buffer is the part from `offset` on.
 *
 * The `last` part completes it; `token` is the page's ID of the upload.
 */
export interface Upload {
  do: "upload";
  container: string;
  folder: string;
  name: string;
  token: string;
  offset: number;
  last: boolean;
}

/**
 * Return the mistakes in a Dockerfile or a Compose file.
 *
 * `path` is the file's, as JupyterLab names it; empty for a cell.
 */
export interface Check {
  do: "check";
  text: string;
  language?: "compose" | "dockerfile";
  path?: string;
}

/** Return what may stand between two parts of a text. */
export interface Complete {
  do: "complete";
  before: string;
  language?: "compose" | "dockerfile";
  after?: string;
}

/** Return what the key at a place in a Compose file means; line and column from 0. */
export interface Describe {
  do: "describe";
  text: string;
  line: number;
  column: number;
}

/** Return the steps of a build, and why those that were not cached were not. */
export interface BuildSteps {
  do: "build_steps";
  build: string;
}

/** Return the steps of a cell's build: `cached`, or `wanted` with a reason. */
export interface Forecast {
  do: "forecast";
  source: string;
  place: string;
}

/** Return a Dockerfile that reproduces this kernel's environment around a notebook. */
export interface NotebookDockerfile {
  do: "notebook_dockerfile";
  notebook: string;
}

/** Open a view of a container, an image or a project. */
export interface OpenView {
  do: "open_view";
  view: "layers" | "logs" | "project_logs" | "terminal";
  name: string;
}

/** Close a view. */
export interface CloseView {
  do: "close_view";
  channel: number;
}

/** A call and the number of its answer. */
export interface Request {
  kind: "request";
  id: number;
  call: Watch | Act | ActOnProject | Remove | Tag | Command | Login | Inspect | PrunePreview | Prune | Files | Download | Upload | Check | Complete | Describe | BuildSteps | Forecast | NotebookDockerfile | OpenView | CloseView;
}

/** A message for a view's widget, in the widget's own format. */
export interface ToView {
  kind: "to_view";
  channel: number;
  content: Record<string, any>;
}

/**
 * The page disconnects; the kernel closes the connection.
 *
 * JupyterLab deletes a comm's subshell together with the comm, so its own message that a comm was
 * closed may never be read.
 */
export interface Farewell {
  kind: "farewell";
}

/**
 * The message with which a page opens a connection.
 *
 * `left` are the IDs of connections abandoned by the previous page in the same tab.
 */
export interface Hello {
  versions: number[];
  left: string[];
}

/** The output of a command. */
export interface Output {
  text: string;
}

/** An object that would be removed. */
export interface PruneItem {
  name: string;
  size: number;
}

/** Objects of one kind that would be removed, the largest first; `size` is the freed space. */
export interface PruneGroup {
  name: string;
  title: string;
  items: PruneItem[];
  size: number;
}

/** The number and size of the removed objects. */
export interface Pruned {
  removed: number;
  freed: number;
}

/** An entry of a folder; `target` is that of a link. */
export interface FileEntry {
  name: string;
  kind: "file" | "folder" | "link" | "other";
  size: number;
  mode: string;
  modified: number;
  target: string;
}

/** The entries of a folder; `left_out` is the number of omitted ones. */
export interface Listing {
  path: string;
  entries: FileEntry[];
  left_out: number;
}

/** The name of the file in the answer's buffer. */
export interface Downloaded {
  name: string;
}

/**
 * A finding of a check, or an error; lines count from 1.
 *
 * `column` counts characters from 0 and has `length`; without a length whole lines are meant.
 */
export interface Squiggle {
  rule: string;
  message: string;
  first_line: number;
  last_line: number;
  is_error: boolean;
  column: number;
  length: number;
}

/** Completions that replace the last `replaces` characters. */
export interface Completion {
  replaces: number;
  matches: string[];
}

/**
 * A key of a Compose file; `forms` are example lines, columns count characters from 0.
 *
 * Without a `title` there is nothing to say.
 */
export interface Description {
  title: string;
  words: string;
  forms: string[];
  first_column: number;
  last_column: number;
}

/** A step of a build; `reason` explains why it was not cached. */
export interface Step {
  title: string;
  outcome: string;
  seconds: number;
  reason: string;
}

/** The channel of a view that was opened. */
export interface Opened {
  channel: number;
  title: string;
}

/** An error: its class, its message in one line, and a hint. */
export interface Trouble {
  name: string;
  message: string;
  hint: string;
}

/** The connection is open; `version` is the common protocol version. */
export interface Welcome {
  kind: "welcome";
  version: number;
  engine: string;
  store: string;
}

/** There is no common version, or no engine. */
export interface Refused {
  kind: "refused";
  trouble: Trouble;
}

/** The result of a call. */
export interface Answer {
  kind: "answer";
  id: number;
  value: any;
}

/** The error of a call. */
export interface Failure {
  kind: "failure";
  id: number;
  trouble: Trouble;
}

/** The progress of a call, in one line. */
export interface Progress {
  kind: "progress";
  id: number;
  text: string;
}

/** New and changed items of a section, and the IDs of removed ones. */
export interface Changes {
  kind: "changes";
  section: "builds" | "containers" | "images" | "networks" | "registries" | "volumes";
  put: any[];
  gone: string[];
  whole: boolean;
}

/** The current usage of the running containers. */
export interface Used {
  kind: "used";
  usage: Usage[];
}

/** A message from a view's widget for its page. */
export interface FromView {
  kind: "from_view";
  channel: number;
  content: Record<string, any>;
}

export type Section = "containers" | "images" | "volumes" | "networks" | "builds" | "registries";

export type Action = "start" | "stop" | "restart" | "pause" | "unpause" | "kill" | "remove";

export type ProjectAction = "start" | "stop" | "restart" | "down";

export type ViewKind = "logs" | "terminal" | "layers" | "project_logs";

export type ObjectKind = "container" | "image" | "volume" | "network";

export type Language = "dockerfile" | "compose";

export type Call = Watch | Act | ActOnProject | Remove | Tag | Command | Login | Inspect | PrunePreview | Prune | Files | Download | Upload | Check | Complete | Describe | BuildSteps | Forecast | NotebookDockerfile | OpenView | CloseView;

export type FromPage = Request | ToView | Farewell;

export type Item = ContainerItem | ImageItem | VolumeItem | NetworkItem | BuildItem | RegistryItem;

export type FromKernel = Welcome | Refused | Answer | Failure | Progress | Changes | Used | FromView;

/** What a call returns. */
export interface Returns {
  watch: null;
  act: null;
  act_on_project: null;
  remove: null;
  tag: null;
  command: Output;
  login: Output;
  inspect: any;
  prune_preview: PruneGroup[];
  prune: Pruned;
  files: Listing;
  download: Downloaded;
  upload: null;
  check: Squiggle[];
  complete: Completion;
  describe: Description;
  build_steps: Step[];
  forecast: Step[];
  notebook_dockerfile: Output;
  open_view: Opened;
  close_view: null;
}

/** What a section holds. */
export interface Items {
  containers: ContainerItem;
  images: ImageItem;
  volumes: VolumeItem;
  networks: NetworkItem;
  builds: BuildItem;
  registries: RegistryItem;
}
