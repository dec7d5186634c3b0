"""What conmon starts when a detached container has ended: record it and clean up.

``python -m jupyter_containers.engine.reap ROOT RUN_ROOT BRIDGE CONTAINER_ID``
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(root: str, run_root: str, bridge_name: str, container_id: str) -> int:
    """Settle one container of the store in ``root``; 0 also when somebody else did it first."""
    from jupyter_containers.engine.lifecycle import Lifecycle
    from jupyter_containers.engine.networks import Networks
    from jupyter_containers.engine.rooms import Rooms
    from jupyter_containers.settings import Settings

    rooms = Rooms(Settings(Path(root), Path(run_root), bridge_name=bridge_name))
    try:
        Lifecycle(rooms, Networks(rooms)).settle(container_id)
    finally:
        rooms.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
