"""Health checks: run by a sidecar of the container, readable by any process.

Vocabulary: a *probe* is one run of the check inside the container; its exit code 0 means healthy.
The *streak* counts failures in a row; ``retries`` of them mean unhealthy.  Failures in the *start
period* do not count before the first success.  The folder ``health`` of the bundle holds the
probe's process (``process.json``), ``status`` (a word and the streak) and the last five results.

Docker Engine API v1.43, "HealthConfig" and "Health".
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import json, shutil
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.runtime.sidecar import start_sidecar

TIMED_OUT = -1
_KEPT = 5
_OUTPUT_BYTES = 4096

# $1 interval, $2 timeout, $3 interval while starting (seconds); $4 start period (milliseconds); $5
# retries; $6 the command to run with the new status; then the probe's words.
_SCRIPT = """
interval=$1 timeout=$2 starting=$3 period=$4 retries=$5 notify=$6
shift 6
in_period() { [ "$status" = starting ] && [ $(($1 - began)) -lt "$period" ]; }
status=starting streak=0 number=0 began=$(date +%s%3N)
while :; do
    if in_period "$(date +%s%3N)"; then sleep "$starting"; else sleep "$interval"; fi
    alive || exit 0
    number=$((number + 1)) from=$(date +%s.%N) start=$(date +%s%3N)
    rm -f code pid
    # Who reads the output outlives neither the probe nor what the probe left behind.
    { timeout --foreground -s KILL "$timeout" "$@" </dev/null; echo $? >code; } 2>&1 |
        timeout --foreground -s KILL "$((${timeout%.*} + 2))" \\
            sh -c 'head -c 4097; cat >/dev/null' >out
    to=$(date +%s.%N) end=$(date +%s%3N)
    read -r code 2>/dev/null <code || code=137
    if [ "$code" = 137 ] && [ $((end - start)) -ge "$(printf %.0f "${timeout}e3")" ]; then
        code=-1
        probe=$(cat pid 2>/dev/null)
        [ -z "$probe" ] || kill -KILL -"$probe" "$probe" 2>/dev/null
        echo "Health check exceeded timeout (${timeout}s)" >out
    fi
    alive || exit 0
    new=$status
    if [ "$code" = 0 ]; then
        streak=0 new=healthy
    elif ! in_period "$start"; then
        streak=$((streak + 1))
        [ $streak -lt "$retries" ] || new=unhealthy
    fi
    { echo "$from $to $code"; cat out; } >"result.new" && mv result.new "result.$number"
    rm -f "result.$((number - 5))"
    echo "$new $streak" >status.new && mv status.new status
    if [ "$new" != "$status" ]; then
        status=$new
        sh -c "$notify $new" </dev/null >/dev/null 2>&1 &
    fi
done
"""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A health check with its timing; times in seconds, defaults filled in."""

    command: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of a probe; times in seconds since the epoch, ``exit_code`` -1 after a timeout."""

    start: float
    end: float
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class Health:
    """The health of a container: ``starting``, ``healthy`` or ``unhealthy``; the last results."""

    status: str
    failing_streak: int
    log: tuple[ProbeResult, ...] = ()


def start_checks(
    bundle: Path,
    process: ProcessIdentity,
    check: HealthCheck,
    *,
    specification: Mapping[str, Any],
    probe: Sequence[str],
    notify: Sequence[str],
) -> ProcessIdentity | None:
    """Start the sidecar that checks a running container.

    ``specification`` is the process to run in the container, ``probe`` the runtime's exec command
    up to its options; ``notify`` is run with one more argument, the new status, on each change.
    """
    folder = bundle / "health"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    (folder / "process.json").write_text(json.dumps(specification))
    (folder / "status").write_text("starting 0\n")
    numbers = [check.interval, check.timeout, check.start_interval]
    arguments = [f"{number:g}" for number in numbers]
    arguments += [str(round(check.start_period * 1000)), str(check.retries), shlex.join(notify)]
    options = ["--pid-file", "pid", "--process", "process.json", bundle.name]
    return start_sidecar(_SCRIPT, folder, process, [*arguments, *probe, *options])


def read_health(bundle: Path) -> Health | None:
    """Return the health of a container, or None if it has no checks."""
    folder = bundle / "health"
    try:
        word, streak = (folder / "status").read_text().split()
    except (OSError, ValueError):
        return None
    results = sorted(
        folder.glob("result.[0-9]*"), key=lambda path: int(path.suffix.removeprefix("."))
    )
    found = tuple(filter(None, map(_result, results[-_KEPT:])))
    return Health(word, int(streak), found)


def read_status(bundle: Path) -> str:
    """Return the health status of a container; empty if it has no checks."""
    try:
        return (bundle / "health" / "status").read_text().partition(" ")[0]
    except OSError:
        return ""


def _result(path: Path) -> ProbeResult | None:
    with suppress(OSError, ValueError):
        head, _, output = path.read_bytes().partition(b"\n")
        start, end, code = head.split()
        text = output[:_OUTPUT_BYTES].decode(errors="replace")
        more = "..." if len(output) > _OUTPUT_BYTES else ""
        return ProbeResult(float(start), float(end), int(code), text + more)
    return None
