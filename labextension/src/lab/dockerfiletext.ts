/** What each instruction of a Dockerfile is for, in a line or two, and its forms. */
export interface Instruction {
  forms: string[];
  words: string;
}

export const INSTRUCTIONS: Record<string, Instruction> = {
  FROM: {
    forms: ["FROM [--platform=OS/ARCH] IMAGE [AS NAME]"],
    words: "Begins a stage on an image, or on an earlier stage. `scratch` is empty.",
  },
  RUN: {
    forms: [
      "RUN COMMAND",
      'RUN ["program", "argument"]',
      "RUN --mount=type=cache,target=/root/.cache COMMAND",
      "RUN <<EOF",
    ],
    words:
      "Runs a command; what it changes becomes a layer. Mounts (cache, bind, tmpfs, secret, ssh) are there for this step only.",
  },
  CMD: {
    forms: ['CMD ["program", "argument"]', "CMD COMMAND"],
    words:
      "What a container runs when nothing else is asked for; with an ENTRYPOINT, its arguments. Only the last one counts.",
  },
  ENTRYPOINT: {
    forms: ['ENTRYPOINT ["program", "argument"]'],
    words: "The program that a container always runs; CMD and the command line give its arguments.",
  },
  COPY: {
    forms: [
      "COPY [--chown=USER:GROUP] [--chmod=755] SOURCE… TARGET",
      "COPY --from=STAGE|IMAGE SOURCE TARGET",
      "COPY <<EOF /path",
    ],
    words:
      "Copies files of the context, of another stage or image, or written here. With --link the layer does not depend on those below.",
  },
  ADD: {
    forms: ["ADD [--checksum=sha256:…] SOURCE… TARGET", "ADD https://… TARGET"],
    words: "Like COPY; also fetches addresses and git repositories, and unpacks local archives.",
  },
  WORKDIR: {
    forms: ["WORKDIR /path"],
    words: "The folder in which RUN, CMD, COPY … work from here on; it is made if it is not there.",
  },
  ENV: { forms: ["ENV NAME=value …"], words: "Variables for the steps that follow and for containers." },
  ARG: {
    forms: ["ARG NAME[=default]"],
    words: "A variable for the build only, set by --build-arg. Before the first FROM it is for FROM lines.",
  },
  EXPOSE: { forms: ["EXPOSE 8000[/tcp|/udp] …"], words: "Says which ports the program listens on; -p publishes them." },
  LABEL: { forms: ['LABEL name="value" …'], words: "Facts about the image, for people and filters." },
  USER: { forms: ["USER NAME|UID[:GROUP|GID]"], words: "Who runs the steps that follow, and the container." },
  VOLUME: {
    forms: ["VOLUME /path …", 'VOLUME ["/path"]'],
    words: "Places whose files outlive a container: each gets a volume.",
  },
  SHELL: {
    forms: ['SHELL ["/bin/bash", "-o", "pipefail", "-c"]'],
    words: "What runs the shell form of RUN, CMD and ENTRYPOINT.",
  },
  STOPSIGNAL: { forms: ["STOPSIGNAL SIGTERM"], words: "The signal that `stop` sends first." },
  HEALTHCHECK: {
    forms: ["HEALTHCHECK [--interval=30s] [--timeout=30s] [--retries=3] CMD COMMAND", "HEALTHCHECK NONE"],
    words: "A command that tells whether a container is well: exit code 0 is healthy.",
  },
  ONBUILD: {
    forms: ["ONBUILD INSTRUCTION"],
    words: "An instruction that is carried out when another build begins with this image.",
  },
  MAINTAINER: { forms: ["MAINTAINER NAME"], words: "Deprecated: a label says it." },
};

const CONTINUED = /\\\s*$/;

/** The instruction that a line begins, if it does: its keyword and where that stands. */
export function keywordAt(
  lines: readonly string[],
  number: number,
): { keyword: string; from: number; to: number } | null {
  const line = lines[number] ?? "";
  const match = /^(\s*)(?:ONBUILD\s+)?([A-Za-z]+)(?=\s|$)/.exec(line);
  if (!match || isContinuation(lines, number)) return null;
  const keyword = match[2]!.toUpperCase();
  if (!(keyword in INSTRUCTIONS)) return null;
  return { keyword, from: match[1]!.length, to: match[0].length };
}

function isContinuation(lines: readonly string[], number: number): boolean {
  let above = number - 1;
  while (above >= 0 && /^\s*#/.test(lines[above]!)) above--;
  return above >= 0 && CONTINUED.test(lines[above]!);
}

/** What the kernel is to check of a cell or file, and how its line numbers are to be read. */
export interface Checked {
  text: string;
  added: number; // lines of ours above the text's own
}

export const MAGIC = "%%dockerfile";

/** Whether a cell's source is a Dockerfile. */
export function isDockerfileCell(source: string): boolean {
  const first = source.trimStart().split("\n", 1)[0] ?? "";
  return first === MAGIC || first.startsWith(`${MAGIC} `);
}

/** Return what is to be checked; null where nothing can be said. */
export function checked(source: string): Checked | null {
  if (!isDockerfileCell(source)) return source.trim() ? { text: source, added: 0 } : null;
  const above = source.length - source.trimStart().length;
  const skipped = source.slice(0, above).split("\n").length - 1;
  const [magic = "", ...rest] = source.slice(above).split("\n");
  const body = rest.join("\n");
  // What stands in braces is known to the kernel only when the cell is run.
  if (/\s--interpolate\b/.test(magic) || !body.trim()) return null;
  // A cell that continues another has no FROM: an unknown image stands where the magic stood.
  if (/\s--continue\b/.test(magic)) return { text: `FROM the-cell-before.invalid/image\n${body}`, added: 0 - skipped };
  return { text: body, added: -1 - skipped };
}

/** The name that a cell's magic line gives its image (`-t`), empty without one. */
export function imageName(source: string): string {
  const first = source.trimStart().split("\n", 1)[0] ?? "";
  return /\s(?:-t|--tag)[\s=]*(\S+)/.exec(first)?.[1] ?? "";
}
