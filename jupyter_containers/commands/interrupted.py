"""The one line about a command that was stopped: what has become of its work."""

from __future__ import annotations

from jupyter_containers.commands.words import Parsed
from jupyter_containers.engine.interrupts import answered, notes_of

__all__ = ["answered", "told"]

_BUILT = "the steps that were done are kept in the cache"
_REMOVED = "what was removed is gone, the rest is whole"
_UNMADE = "no image was made"
_KEPT = {
    "build": _BUILT,
    "dockerfile": _BUILT,
    "pull": "what has come is kept for the next pull",
    "push": "what the registry has taken is not sent again",
    "logs": "the container goes on",
    "attach": "the container goes on",
    "exec": "the command was ended, the container goes on",
    "wait": "the container goes on",
    "stop": "the signal was sent, what has not ended goes on",
    "restart": "what had not ended goes on, what had is not started again",
    "commit": _UNMADE,
    "import": _UNMADE,
    "bootstrap": _UNMADE,
    "load": "images that had come whole are kept",
    "export": "no archive is left",
    "save": "no archive is left",
    "cp": "files that had been copied are kept",
    "login": "no credentials were kept",
    "rm": _REMOVED,
    "rmi": _REMOVED,
    "container prune": _REMOVED,
    "image prune": _REMOVED,
    "volume prune": _REMOVED,
    "builder prune": _REMOVED,
    "system prune": _REMOVED,
    "system check": "nothing was changed but what is mended",
}


def told(parsed: Parsed, interrupt: BaseException) -> str:
    """Return the line: what those who cleaned up have noted, or what is true of every such one."""
    verb = parsed.verb.name if parsed.verb else "the command"
    kept = "; ".join(notes_of(interrupt)) or _KEPT.get(verb, "")
    if verb == "run" and (parsed.flag("publish") or parsed.flag("publish_all")):
        kept += f"{'; ' if kept else ''}with -d a server runs beside the cells"
    return f"{verb} was interrupted{f': {kept}' if kept else ''}"
