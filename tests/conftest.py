"""What holds for all tests: a machine's own shared images are none of theirs."""

from __future__ import annotations

import os

# Also for the kernels, commands and helpers that tests start.
os.environ.setdefault("JUPYTER_CONTAINERS_ADDITIONAL_STORES", "")
