r"""Foreign text, made safe for a terminal, a page or a message.

Names, labels, histories and messages come from images, registries, Dockerfiles and containers. A
terminal executes the control characters in them: OSC 52 replaces the clipboard, CSI moves the
cursor over earlier output, and directional marks show characters in another order.

Everything that is printed, shown in a table or raised as an error passes :func:`printable`; JSON
passes :func:`escaped`.  A container's own output (``logs``, ``attach``, ``run``) stays raw, as in
Docker.
"""

from __future__ import annotations

import re

from jupyter_containers.lazy_patterns import pattern

# CSI … final byte | OSC … BEL or ST | DCS, SOS, PM, APC … ST | two- and three-byte escapes | lone
# control characters (ECMA-48).  None continues past the end of a line: it could hide the text of
# others.
SEQUENCE = pattern(
    r"\x1b\[([0-?]*)[ -/]*([@-~])"
    r"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\|(?=\n)|$)"
    r"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\|(?=\n)|$)"
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]"
)
# Surrogates (bytes that are not UTF-8), line and paragraph separators, directional marks.
_UNSEEN = "\ud800-\udfff\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_REPLACED = pattern(f"[{_UNSEEN}]")
_ESCAPED = pattern(f"[\x7f-\x9f{_UNSEEN}]")


def printable(text: str) -> str:
    r"""Return the text without escape sequences and control characters, except ``\n`` and ``\t``.

    Characters that change how other characters are shown become ``�``.
    """
    if text.isprintable():
        return text
    plain = SEQUENCE.sub("", text.replace("\r\n", "\n")).replace("\r", " ")
    return _REPLACED.sub("\ufffd", plain)


def one_line(text: str, limit: int) -> str:
    """Return the text on one line, with the middle left out if it is longer than ``limit``."""
    half = limit // 2
    if len(text) > 4 * limit:  # process no more than is shown
        text = f"{text[: 2 * limit]}{text[-2 * limit :]}"
    plain = printable(text)
    if not plain.isprintable():
        plain = " ".join(re.split(r"[\n\t]+", plain)).strip()
    return plain if len(plain) <= limit else f"{plain[:half]} … {plain[-half:]}"


def escaped(document: str) -> str:
    r"""Return JSON with control characters written as ``\u009b``; the value stays the same.

    JSON itself escapes only those below U+0020.
    """
    if document.isascii() and "\x7f" not in document:
        return document
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
