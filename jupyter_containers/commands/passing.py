"""Commands that only call one method of the engine, as declared by their :class:`.words.Call`."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from jupyter_containers.commands.session import Session
from jupyter_containers.commands.words import Call, Parsed


def pass_on(session: Session, parsed: Parsed, call: Call) -> Any:
    """Call the method with the command's operands and flags; return the value of the command."""
    from jupyter_containers.commands.render.results import Lines, Text
    from jupyter_containers.commands.verbs.listing import done, each, progress_of

    method, operands = attrgetter(call.method)(session.engine), parsed.operands
    if call.each:
        words = operands[call.each]
        if call.gives == "lines":
            return Lines(each(words, lambda word: method(word, **parsed.flags), Lines))
        names = done(words, lambda word: method(word, **parsed.flags))
        return names if call.gives == "names" else None
    if call.progress:
        flags = {key: value for key, value in parsed.flags.items() if key != "quiet"}
        with progress_of(session, parsed) as emit:
            value = method(*operands.values(), emit=emit, **flags)
    else:
        value = method(*operands.values(), **parsed.flags)
    match call.gives:
        case "nothing":
            return None
        case "id":
            return Text(value.id)
        case "lines":
            return Lines(value)
    return value
