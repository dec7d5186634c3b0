"""Parses an OCI runtime's errors into one line and Docker's exit code.

Exit codes: 127 when the program was not found, 126 when it cannot be executed, 125 otherwise; 126
also for an ``exec`` that cannot be started for another reason. crun and runc write JSON lines
(``level``, ``msg``) to their log, or plain text to stderr.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from jupyter_containers.errors import OCIRuntimeError
from jupyter_containers.lazy_modules import json
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.runtime.restrictions import system_files_restriction

_NOT_FOUND = pattern(
    r"executable file .*not found|exec: \S+ ?(stat \S+: )?.*no such file or directory"
    r"|executable.*: no such file or directory",
    re.IGNORECASE,
)
_NOT_EXECUTABLE = pattern(
    r"exec: .*(permission denied|is a directory|not a directory)"
    r"|(open|exec\w*)\b.*executable.*(permission denied|operation not permitted)"
    r"|executable path is a directory|exec format error",
    re.IGNORECASE,
)
# In a user namespace the kernel mounts these only as far as its user sees them already.
_WITHHELD = pattern(r"mount\w* .*\b(proc|sysfs)\b.*operation not permitted", re.IGNORECASE)
# runc's error when the kernel kills its child together with the container's first process.
_TORN = pattern(r"setns process|init-p\b|connection reset by peer")
_PREFIXES = pattern(
    r"^(?:(?:runc|crun|oci runtime|container_linux\.go:\d+|time=\S+|level=\w+|msg=)"
    r"[^:\"]*:? ?)*\"?"
    r"(?:unable to start container process: |error during container init: "
    r"|(?:runc |crun )?(?:create|run|exec) failed: )*",
)
_MAX_LOG = 1024 * 1024
_LOOKED_AT = 2000  # characters


# exec: "-p": executable file not found: run IMAGE -p 80:80
_A_FLAG = pattern(r'exec: "--?[A-Za-z]')


def log_error(path: Path) -> str:
    """Return the last error in a runtime's JSON log, or an empty text."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_LOG)
    except OSError:
        return ""
    return last_error(data.decode(errors="replace"))


def last_error(text: str) -> str:
    """Return the message of the last JSON line of level error or fatal, or an empty text."""
    for line in reversed(text.splitlines()):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and entry.get("level") in ("error", "fatal", "panic"):
            return str(entry.get("msg", ""))
    return ""


def runtime_error(
    message: str,
    *,
    operation: str,
    argv: Sequence[str] = (),
    stderr: str = "",
    program: str = "",
) -> OCIRuntimeError:
    """Return the error for a runtime's ``message``.

    ``program`` is the one to run in the container: crun does not always name it.
    """
    line = clean(message) or f"the runtime could not {operation} and gave no reason"
    code, hint = 126 if operation == "exec" else 125, ""
    # A message quotes text of the image, which may be long and crafted to match slowly.
    quoted = message if len(message) <= _LOOKED_AT else f"{message[:1000]}\n{message[-1000:]}"
    if _NOT_FOUND.search(quoted):
        code, hint = 127, "check the command's spelling, and that the image contains it"
        if _A_FLAG.search(line):
            name = "container" if operation == "exec" else "image"
            hint = f"flags go before the {name}: the words after it are the command"
    elif _NOT_EXECUTABLE.search(quoted):
        code, hint = 126, "the file is in the image but is not an executable program"
        if program not in line:
            line = f'exec: "{program[:200]}": {line}'
    elif _WITHHELD.search(quoted) and (withheld := system_files_restriction()):
        line, hint = f"{withheld.reason} ({line})", withheld.remedy
    return OCIRuntimeError(line, argv=argv, exit_code=code, stderr=stderr or message, hint=hint)


def program_of(folder: Path) -> str:
    """Return the program of a bundle, or of the process that an ``exec`` describes in a folder.

    Empty where there is none: its files are read after a failure, which they must not hide.
    """
    for name in ("config.json", "process.json"):
        try:
            document = json.loads((folder / name).read_bytes())
            return str(document.get("process", document)["args"][0])
        except (OSError, ValueError, LookupError, AttributeError, TypeError):
            continue
    return ""


def ended_from_outside(message: str) -> bool:
    """Return whether a runtime's process in the container was killed from outside."""
    return bool(_TORN.search(message))


def clean(message: str) -> str:
    """Return one readable line, without the runtime's own prefixes and escapes."""
    parsed = last_error(message)
    lines = [line.strip() for line in (parsed or message).splitlines() if line.strip()]
    text = lines[-1] if lines else ""
    text = _PREFIXES.sub("", text.replace('\\"', '"'))
    return text.rstrip(". ")[:500]
