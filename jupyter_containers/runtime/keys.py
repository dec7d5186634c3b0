"""The key sequence that detaches from a container's terminal (Docker's ``--detach-keys``).

A *sequence* is one or more keys separated by commas: a character, or ``ctrl-`` and a letter or one
of a few symbols; the default is ``ctrl-p,ctrl-q``.  Keys that may begin the sequence are held back
until the next key decides.
"""

from __future__ import annotations

from jupyter_containers.errors import InvalidArgumentError

USUAL_KEYS = "ctrl-p,ctrl-q"
_CONTROL = {
    **{chr(ord("a") + index): index + 1 for index in range(26)},
    "@": 0,
    "[": 27,
    "\\": 28,
    "]": 29,
    "^": 30,
    "_": 31,
}


class DetachedError(Exception):
    """The user typed the sequence; ``typed`` is the input before it."""

    def __init__(self, typed: bytes) -> None:
        super().__init__("detached")
        self.typed = typed


class DetachKeys:
    """Watches the input of one terminal for the sequence."""

    def __init__(self, text: str = USUAL_KEYS) -> None:
        self._sequence = parse_keys(text)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return the input for the container; raise :class:`DetachedError` at the sequence."""
        if not self._sequence:
            return data
        passed = bytearray()
        for byte in data:
            self._held += bytes((byte,))
            while self._held and not self._sequence.startswith(self._held):
                passed.append(self._held[0])
                self._held = self._held[1:]
            if self._held == self._sequence:
                self._held = b""
                raise DetachedError(bytes(passed))
        return bytes(passed)


def parse_keys(text: str) -> bytes:
    """Return the bytes of a sequence; raise :class:`InvalidArgumentError` for an unknown key."""
    result = bytearray()
    for key in text.split(",") if text else ():
        if len(key) == 1:
            result += key.encode("latin-1", "replace")
        elif key[:5] == "ctrl-" and key[5:].lower() in _CONTROL:
            result.append(_CONTROL[key[5:].lower()])
        else:
            raise InvalidArgumentError(
                f"invalid detach keys ({text!r}): unknown key {key!r}",
                hint="letters, or ctrl- and one of a-z @ [ \\ ] ^ _, separated by commas",
            )
    return bytes(result)
