// Made from what the kernel's side has (see tests/typescript.py); do not edit.
//
//   python -m tests.typescript

/** How to write sizes: `digits` significant ones, in the largest fitting unit. */
export interface Scale {
  base: number;
  units: readonly string[];
  digits: number;
}

export const DECIMAL: Scale = {"base": 1000, "units": ["B", "kB", "MB", "GB", "TB", "PB", "EB"], "digits": 3};

export const BINARY: Scale = {"base": 1024, "units": ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], "digits": 4};

/**
 * How to write durations of less than `below` seconds.
 *
 * `{}` in the text is the number of `unit` seconds, rounded down after adding `more`.
 */
export interface Span {
  below: number;
  text: string;
  unit: number;
  more: number;
}

export const SPANS: readonly Span[] = [
  {"below": 1, "text": "Less than a second", "unit": 1, "more": 0},
  {"below": 2, "text": "1 second", "unit": 1, "more": 0},
  {"below": 60, "text": "{} seconds", "unit": 1, "more": 0},
  {"below": 120, "text": "About a minute", "unit": 1, "more": 0},
  {"below": 3600, "text": "{} minutes", "unit": 60, "more": 0},
  {"below": 5400, "text": "About an hour", "unit": 1, "more": 0},
  {"below": 171000, "text": "{} hours", "unit": 3600, "more": 1800},
  {"below": 1207800, "text": "{} days", "unit": 86400, "more": 1800},
  {"below": 5182200, "text": "{} weeks", "unit": 604800, "more": 1800},
  {"below": 63070200, "text": "{} months", "unit": 2592000, "more": 1800},
  {"below": Infinity, "text": "{} years", "unit": 31536000, "more": 1800},
];

/** `words` describe an instruction; `forms` are example lines. */
export interface Instruction {
  words: string;
  forms: readonly string[];
  flags: Readonly<Record<string, string>>;
}

export const INSTRUCTIONS: Readonly<Record<string, Instruction>> = {
  "FROM": {
    "words": "Begins a stage on an image, or on an earlier stage. `scratch` is empty.",
    "forms": [
      "FROM [--platform=OS/ARCH] IMAGE [AS NAME]"
    ],
    "flags": {
      "--platform=": "Platform of the image: os/arch[/variant]"
    }
  },
  "RUN": {
    "words": "Runs a command; its changes become a layer. Mounts (cache, bind, tmpfs, secret, ssh) exist during this step only.",
    "forms": [
      "RUN COMMAND",
      "RUN [\"program\", \"argument\"]",
      "RUN --mount=type=cache,target=/root/.cache COMMAND",
      "RUN <<EOF"
    ],
    "flags": {
      "--mount=type=": "Mount files for this step only: type=bind, cache, secret, ssh or tmpfs",
      "--network=": "Network of the step: default, none or host",
      "--security=": "Privileges of the step: sandbox or insecure"
    }
  },
  "CMD": {
    "words": "The default command; with an ENTRYPOINT, its default arguments. Only the last one counts.",
    "forms": [
      "CMD [\"program\", \"argument\"]",
      "CMD COMMAND"
    ],
    "flags": {}
  },
  "ENTRYPOINT": {
    "words": "The program that a container always runs; CMD or the command line give its arguments.",
    "forms": [
      "ENTRYPOINT [\"program\", \"argument\"]"
    ],
    "flags": {}
  },
  "COPY": {
    "words": "Copies files of the context or of another stage or image, or inline documents. With --link the layer does not depend on those below.",
    "forms": [
      "COPY [--chown=USER:GROUP] [--chmod=755] SOURCE… TARGET",
      "COPY --from=STAGE|IMAGE SOURCE TARGET",
      "COPY <<EOF /path"
    ],
    "flags": {
      "--from=": "Copy from a stage, an image or a named context",
      "--chown=": "Owner of the copied files: user[:group]",
      "--chmod=": "Mode of the copied files: 755 or u=rwX,go=rX",
      "--link": "Make a layer that does not depend on those below",
      "--exclude=": "Leave out files that match a pattern",
      "--parents": "Keep the folders above each source"
    }
  },
  "ADD": {
    "words": "Like COPY; also downloads URLs and git repositories, and unpacks local archives.",
    "forms": [
      "ADD [--checksum=sha256:…] SOURCE… TARGET",
      "ADD https://… TARGET"
    ],
    "flags": {
      "--chown=": "Owner of the copied files: user[:group]",
      "--chmod=": "Mode of the copied files: 755 or u=rwX,go=rX",
      "--link": "Make a layer that does not depend on those below",
      "--exclude=": "Leave out files that match a pattern",
      "--unpack": "Unpack archives, downloaded ones too; false: not even local ones",
      "--checksum=": "Digest of the download: sha256:…",
      "--keep-git-dir": "Keep the .git folder of a repository"
    }
  },
  "WORKDIR": {
    "words": "The folder in which RUN, CMD, COPY … work from here on; it is created if it is missing.",
    "forms": [
      "WORKDIR /path"
    ],
    "flags": {}
  },
  "ENV": {
    "words": "Variables for the steps that follow and for containers.",
    "forms": [
      "ENV NAME=value …"
    ],
    "flags": {}
  },
  "ARG": {
    "words": "A variable for the build only, set by --build-arg. Before the first FROM it is for FROM lines.",
    "forms": [
      "ARG NAME[=default]"
    ],
    "flags": {}
  },
  "EXPOSE": {
    "words": "Says which ports the program listens on; -p publishes them.",
    "forms": [
      "EXPOSE 8000[/tcp|/udp] …"
    ],
    "flags": {}
  },
  "LABEL": {
    "words": "Metadata of the image, for people and filters.",
    "forms": [
      "LABEL name=\"value\" …"
    ],
    "flags": {}
  },
  "USER": {
    "words": "The user of the following steps and of the container.",
    "forms": [
      "USER NAME|UID[:GROUP|GID]"
    ],
    "flags": {}
  },
  "VOLUME": {
    "words": "Folders whose files outlive a container: each gets a volume.",
    "forms": [
      "VOLUME /path …",
      "VOLUME [\"/path\"]"
    ],
    "flags": {}
  },
  "SHELL": {
    "words": "The shell for the shell form of RUN, CMD and ENTRYPOINT.",
    "forms": [
      "SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]"
    ],
    "flags": {}
  },
  "STOPSIGNAL": {
    "words": "The signal that `stop` sends first.",
    "forms": [
      "STOPSIGNAL SIGTERM"
    ],
    "flags": {}
  },
  "HEALTHCHECK": {
    "words": "A command that checks a container: exit code 0 means healthy.",
    "forms": [
      "HEALTHCHECK [--interval=30s] [--timeout=30s] [--retries=3] CMD COMMAND",
      "HEALTHCHECK NONE"
    ],
    "flags": {
      "--interval=": "Time between two checks: 30s",
      "--timeout=": "Time that one check may take: 30s",
      "--start-period=": "Time in which failures do not count: 0s",
      "--start-interval=": "Time between checks in the start period",
      "--retries=": "Failures in a row that mean unhealthy: 3"
    }
  },
  "ONBUILD": {
    "words": "An instruction to execute when another build uses this image as its base.",
    "forms": [
      "ONBUILD INSTRUCTION"
    ],
    "flags": {}
  },
  "MAINTAINER": {
    "words": "Deprecated: use a label instead.",
    "forms": [
      "MAINTAINER NAME"
    ],
    "flags": {}
  }
};

export const AGE: string = "{age}";

export const TARGET: string = "jupyter_containers.panel";

export const BEACON: string = "jupyter_containers.beacon";

export const LOG_LINES: number = 20000;
