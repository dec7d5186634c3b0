"""Command lines that Docker and this engine must answer alike, and how answers are compared.

A *case* is a list of command lines that share containers, run in order; ``BOX`` is an image
imported from the same tar into both.  An *answer* is exit code, standard output and the kind of
error.  ``DIFFERENCES`` names the lines that are meant to differ, each with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from tests.integration.parity_found import FOUND
from tests.integration.parity_lines import BOX, LINES

_RUN = "run --rm --network none"


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a command line; ``kind`` is empty without an error of the engine."""

    exit_code: int
    stdout: str
    kind: str = ""

    def document(self) -> dict[str, object]:
        return asdict(self)


CASES: dict[str, list[str]] = {
    "exit codes": [
        f"{_RUN} {BOX} true",
        f"{_RUN} {BOX} false",
        f"{_RUN} {BOX} sh -c 'exit 42'",
        f"{_RUN} {BOX} sh -c 'exit 125'",
        f"{_RUN} {BOX} sh -c 'sh -c \"kill -9 \\$\\$\"; exit $?'",
        f"{_RUN} {BOX} sh -c 'kill -TERM $$; exit 3'",
        f"{_RUN} {BOX} nosuchprogram",
        f"{_RUN} {BOX} /no/such/program",
        f"{_RUN} {BOX} /etc/passwd",
        f"{_RUN} {BOX} /etc",
    ],
    "process": [
        f"{_RUN} {BOX} echo one 'two  words'",
        f"{_RUN} -e A=1 -e B={{}} {BOX} sh -c 'echo $A$B'",
        f"{_RUN} -u 1000:1001 {BOX} id",
        f"{_RUN} -u nobodyhere {BOX} id",
        f"{_RUN} -u 1000 --group-add 7 {BOX} id -G",
        f"{_RUN} -w /some/where {BOX} pwd",
        f"{_RUN} -w relative {BOX} pwd",
        f"{_RUN} -h box {BOX} hostname",
        f"{_RUN} --entrypoint echo {BOX} hello",
        f"{_RUN} --entrypoint '' {BOX} echo cleared",
        f"{_RUN} --read-only {BOX} sh -c 'touch /x 2>/dev/null; echo $?'",
        f"{_RUN} --read-only --tmpfs /t {BOX} sh -c 'touch /t/x && echo ok'",
        f"{_RUN} --tmpfs /t:size=1m,mode=700 {BOX} "
        f"sh -c 'stat -c %a /t; df -k /t | tail -1 | awk \"{{print \\$2}}\"'",
        f"{_RUN} --shm-size 1m {BOX} sh -c 'df -k /dev/shm | tail -1 | awk \"{{print \\$2}}\"'",
        f"{_RUN} --ulimit nofile=77:88 {BOX} sh -c 'ulimit -n; ulimit -Hn'",
        f"{_RUN} --cap-drop ALL {BOX} grep CapBnd /proc/self/status",
        f"{_RUN} --cap-drop ALL --cap-add CHOWN {BOX} grep CapBnd /proc/self/status",
        f"{_RUN} {BOX} grep CapBnd /proc/self/status",
        f"{_RUN} {BOX} grep -w Seccomp /proc/self/status",
        f"{_RUN} {BOX} sh -c 'ls /sys/class/net'",
        f'{_RUN} {BOX} sh -c \'ls /dev | sort | tr "\\n" " "\'',
        f"{_RUN} {BOX} sh -c 'touch /proc/sys/kernel/x 2>/dev/null; echo $?'",
        f"{_RUN} {BOX} sh -c 'ls /proc/acpi 2>/dev/null | wc -l'",
        f"{_RUN} -i {BOX} cat",
        f"{_RUN} {BOX} env",
        f"{_RUN} {BOX} grep NoNewPrivs /proc/self/status",
        f"{_RUN} --security-opt no-new-privileges {BOX} grep NoNewPrivs /proc/self/status",
    ],
    "refusals": [
        f"run --rm --network none -m 1m {BOX} true",
        f"run --rm --network none --cpus 1000 {BOX} true",
        f"run --rm --network none -m 64m --memory-swap 32m {BOX} true",
        f"run --rm --network nosuchnetwork {BOX} true",
        f"run --rm --restart always --network none {BOX} true",
        f"run --rm --network none --cap-add NOSUCH {BOX} true",
        f"run --rm --network none -v /tmp:relative {BOX} true",
        f"run --rm --network none --mount type=bind,source=/no/such/dir,target=/x {BOX} true",
        f"run --rm --network none --no-such-flag {BOX} true",
        "inspect nosuchthing",
        "stop nosuchthing",
        "rm nosuchthing",
        "logs nosuchthing",
        "exec nosuchthing true",
        "start nosuchthing",
        "kill nosuchthing",
    ],
    "a life": [
        f"run -d --name life --network none {BOX} sleep 600",
        f"run -d --name life --network none {BOX} sleep 600",
        "inspect -f '{{.State.Status}} {{.State.Running}} {{.State.Paused}}' life",
        "ps --filter name=life --format '{{.Names}} {{.Image}} {{.Command}}'",
        "exec life echo inside",
        "exec life sh -c 'exit 7'",
        "exec life nosuchprogram",
        "exec life /etc/passwd",
        "exec -u 1000 -w /tmp -e X=y life sh -c 'id -u; pwd; echo $X'",
        "exec -i life cat",
        "rm life",
        "pause life",
        "pause life",
        "exec life true",
        "inspect -f '{{.State.Status}}' life",
        "unpause life",
        "unpause life",
        "rename life other",
        "stop life",
        "stop -t 0 other",
        "stop other",
        "inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}' other",
        "inspect -f '{{.State.Pid}} {{.State.Running}}' other",
        "exec other true",
        "kill other",
        "pause other",
        "start other",
        "kill -s KILL other",
        "wait other",
        "ps -a --filter name=other --format '{{.Names}}'",
        "rm other",
        "rm other",
    ],
    "created and inspected": [
        f"create --name made --network none -e A=1 -m 64m --cpus 0.5 --label a=b -w /w -u 5 "
        f"--stop-signal USR1 {BOX} echo hello",
        "inspect -f '{{.State.Status}} {{.State.StartedAt}} {{.Path}} {{json .Args}}' made",
        "inspect -f '{{json .Config.Cmd}} {{json .Config.Entrypoint}} {{.Config.User}} "
        "{{.Config.WorkingDir}} {{.Config.StopSignal}} {{json .Config.Labels}}' made",
        "inspect -f '{{json .Config.Env}}' made",
        "inspect -f '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} "
        "{{.HostConfig.NetworkMode}} {{.HostConfig.AutoRemove}} {{.HostConfig.Privileged}}' made",
        "inspect -f '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.ShmSize}} "
        "{{.HostConfig.ReadonlyRootfs}} {{json .HostConfig.Binds}} {{json .Mounts}}' made",
        "inspect -f '{{.Name}} {{.RestartCount}} {{.Platform}}' made",
        "ps -a --filter name=made --filter status=created --format '{{.Names}} {{.Status}}'",
        "ps -a --filter label=a=b --format '{{.Names}}'",
        "ps -a --filter label=a=c --format '{{.Names}}'",
        "start made",
        "wait made",
        "logs made",
        "rm made",
    ],
    "logs": [
        f"run --name talk --network none {BOX} sh -c 'for i in 1 2 3 4 5; do echo $i; done'",
        "logs talk",
        "logs --tail 2 talk",
        "logs -n 0 talk",
        "logs -f talk",
        "logs --since 1h --until 10m talk",
        "rm -f talk",
        f"run --name bad --network none {BOX} nosuchprogram",
        "inspect -f '{{.State.Status}} {{.State.ExitCode}}' bad",
        "rm -f bad",
    ],
    "volumes": [
        "volume create parity-data",
        f"{_RUN} -v parity-data:/data {BOX} sh -c 'echo kept > /data/file'",
        f"{_RUN} -v parity-data:/data:ro {BOX} cat /data/file",
        f"{_RUN} -v parity-data:/data:ro {BOX} sh -c 'touch /data/x 2>/dev/null; echo $?'",
        f"create --name user --network none -v parity-data:/data -v /anon {BOX} true",
        "inspect -f '{{len .Mounts}} {{json .HostConfig.Binds}}' user",
        "volume rm parity-data",
        "rm -v user",
        "volume rm parity-data",
        "volume rm parity-data",
        "volume inspect parity-data",
    ],
    **LINES,
    **FOUND,
    "out of memory": [
        f"run --name oom --network none -m 16m --memory-swap 16m {BOX} tail /dev/zero",
        "inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom",
        "rm oom",
    ],
}

_EMPTY_LIST = "what is not found is an error and prints no empty list"

DIFFERENCES: dict[str, str] = {
    f"{_RUN} --cpus -1 {BOX} true": "the number itself is refused, whatever the host has",
    f"{_RUN} --blkio-weight 5000 {BOX} true": "what cannot be honoured is refused, not dropped",
    f"{_RUN} --device /no/such/device {BOX} true": "125: no program was looked for",
    "inspect -f '{{.Config.Image}} {{.Driver}} {{.ResolvConfPath}}' nosuch": _EMPTY_LIST,
    "compose version": "Compose is a part of the engine, and no plug-in",
    "rmi parity/made:1": "layers are freed by the collection that follows, which names none",
    "inspect --type image plain": _EMPTY_LIST,
    "image inspect nosuch/image": _EMPTY_LIST,
    "network inspect nosuchnetwork": _EMPTY_LIST,
    "inspect -f '{{.Config.Tty}} {{.Config.OpenStdin}} {{.Config.StdinOnce}} "
    "{{.Config.AttachStdin}} {{.Config.AttachStdout}} {{.Config.AttachStderr}}' opts": (
        "what a created container is attached to is said by start"
    ),
    "inspect -f '{{.HostConfig.CpuShares}} {{.HostConfig.PidsLimit}} {{.HostConfig.ShmSize}} "
    "{{json .HostConfig.PortBindings}} {{json .HostConfig.CapAdd}}' plain": (
        "null is <nil> everywhere; Docker's own field is CPUShares, so that it looks into JSON, "
        "where null has no value"
    ),
    "update nosuchthing": "a container that is not there is told before the missing flag",
    "container": "a group's help is what was asked for: it goes to standard output",
    f"history --format '{{{{.Size}}}} {{{{.CreatedBy}}}} {{{{.Comment}}}}' {BOX}": (
        "the note names the file, not the pipe that a client and a daemon need"
    ),
    "exec life nosuchprogram": (
        "127 as from run, and the reason among the errors: Docker 23 and later do so too"
    ),
    "exec life /etc/passwd": "the reason is among the errors, not in the command's output",
    "exec -w /nosuchdir lives pwd": "the reason is among the errors, not in the command's output",
    "start -a lives lives": "Docker's client does not mark its own refusal as an error",
    "inspect nosuchthing": _EMPTY_LIST,
    "volume inspect parity-data": _EMPTY_LIST,
    f"run --name oom --network none -m 16m --memory-swap 16m {BOX} tail /dev/zero": (
        "that memory ran out is said, not only to be found by inspect"
    ),
}

# The engine's words for one kind of error, by Docker's text or ours.
_KINDS: Mapping[str, str] = {
    "command not found": r"executable file not found|no such file or directory: unknown"
    r"|exec: .*no such file|stat /no/such",
    "not executable": r"permission denied|is a directory",
    "no such user": r"unable to find user",
    "no such object": r"could not find the file|lstat /no"
    r"|no such (object|container|volume|network)|network \S+ not found",
    "name in use": r"already in use|the name .* is used by",
    "must stop first": r"stop the container before|cannot remove",
    "already/not running": r"is not running|is (already )?paused|not paused|is exited|it is exited"
    r"|it is paused|it is running|start a paused",
    "in use": r"volume is in use|is used by|unable to remove repository reference",
    "too little memory": r"minimum memory limit allowed|below 6m",
    "too many cpus": r"range of cpus|more than this host has",
    "swap below memory": r"memoryswap limit should be larger|is below memory",
    "rm and restart": r"conflicting options: --restart and --rm|rm and restart",
    "capability": r"unknown capability",
    "mount": r"invalid (volume|mount|mode|field)|bad name|: target is required"
    r"|includes invalid characters for a local volume"
    r"|bind source path does not exist|must be absolute"
    r"|mount path must be absolute",
    "flag": r"unknown flag|unknown option",
    "workdir": r"working directory .* is invalid|is not an absolute path",
}


# Refusals of Docker's client that do not contain the word "error".
_CLIENT_WORDS = (
    r"^see 'docker|^invalid |conflicting options|requires at least|requires exactly|bad format"
    r"|open /no|^stat |template|memory swappiness|pid: invalid|reference format|opening seccomp"
    r"|is not a valid|must provide|must specify|accepts no arg|is not a docker command"
    r"|: invalid (cgroup|user) mode|invalid containerport|invalid ip|no port specified|publish opts"
    r"|cannot be negative"
    r"|input device is not a tty|template parsing|same source and destination"
)


def kind_of(stderr: str) -> str:
    """Return the kind of the engine's error in ``stderr``; empty for none."""
    text = stderr.lower()
    for name, pattern in _KINDS.items():
        if re.search(pattern, text):
            return name
    return "other" if re.search(r"error|jupyter container:|" + _CLIENT_WORDS, text) else ""


def normalised(stdout: str) -> str:
    """Return output without IDs, which differ between engines."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "<id>", stdout)
    if re.fullmatch(r"([ACD] /.*\n)+", text):
        text = "".join(sorted(text.splitlines(keepends=True)))  # Docker's diff has no order
    return re.sub(r"HOSTNAME=[0-9a-f]{12}", "HOSTNAME=<id>", text)
