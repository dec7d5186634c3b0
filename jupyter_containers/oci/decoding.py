"""What goes wrong when foreign JSON becomes values."""

from __future__ import annotations

import msgspec

# Malformed, of another form, not UTF-8, nested too deeply, a number that does not fit.
DECODE_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
