"""Make docs/quick.webp, the README's moving picture: ``scripts/pictures quick``.

Half a minute in JupyterLab: a Dockerfile is written and built, a container is started, listed,
queried and watched, and the panel beside the notebook follows.  Every frame is a photograph of
the page.  It uses a separate store and needs Pillow (the dependency group "pictures").
"""

from __future__ import annotations

import io
import socket
import sys
import time
from pathlib import Path
from typing import Any

from jupyter_containers.engine import Engine
from tests.browser.panel import LOAD, Panel
from tests.browser.studio import studio
from tests.ports import free_port

DOCKERFILE = (
    "%%dockerfile -t hello:1",
    "FROM busybox",
    "WORKDIR /srv",
    'RUN echo "<h1>Hello from a container</h1>" > index.html',
    "RUN sleep 1   # something that takes its time",
    "EXPOSE 8000",
    'CMD ["httpd", "-f", "-v", "-p", "8000"]',
)
RUN = "%container run -d --name web -p {port}:8000 --memory=64m --cpus=1 hello:1"
ASK = "from urllib.request import urlopen; urlopen('http://localhost:{port}').read()"
WIDTH, HEIGHT, SCALE = 1180, 720, 1.0
QUALITY = 60


class Film:
    """Frames with their durations; equal frames in a row are merged."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._frames: list[bytes] = []
        self._times: list[int] = []

    def take(self, milliseconds: int) -> None:
        """Photograph the page; show the picture for this long."""
        frame = self._page.screenshot()
        if self._frames and frame == self._frames[-1]:
            self._times[-1] += milliseconds
            return
        self._frames.append(frame)
        self._times.append(milliseconds)

    def follow(self, seconds: float, every: int = 200) -> None:
        """Take pictures while the page changes by itself."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            started = time.monotonic()
            self.take(every)
            self._page.wait_for_timeout(max(0, every - (time.monotonic() - started) * 1000))

    def write(self, target: Path) -> None:
        """Write an animation that repeats."""
        from PIL import Image

        first, *others = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in self._frames]
        first.save(
            target,
            save_all=True,
            append_images=others,
            duration=self._times,
            loop=0,
            quality=QUALITY,
            method=6,
        )


def main(target: Path) -> None:
    """Play the half minute, and write its frames."""
    with studio(WIDTH, HEIGHT, SCALE) as (page, lab, engine):
        film = Film(page)
        _play(Panel(page, lab, "hello", LOAD), page, film, engine)
        film.write(target)


def _play(panel: Panel, page: Any, film: Film, engine: Engine) -> None:
    port = _port()
    page.locator(".jp-CodeCell .cm-content").first.click()
    film.take(1200)
    _run(page)
    panel.row("busybox", "images/").wait_for()
    film.take(800)
    _type(page, film, DOCKERFILE)
    _run(page)
    film.follow(2.5)
    panel.row("hello:1", "images/").wait_for()
    film.take(1500)
    _type(page, film, [RUN.format(port=port)])
    _run(page)
    panel.row("web", "containers/").wait_for()
    film.take(1500)
    _type(page, film, [ASK.format(port=port)])
    _run(page)
    page.locator(".jp-OutputArea-output", has_text="Hello from").last.wait_for()
    film.take(1800)
    _type(page, film, ["%container ps"])
    _run(page)
    page.locator(".jp-OutputArea-output", has_text="PORTS").last.wait_for()
    film.take(1800)
    _type(page, film, ["%container stats"])
    _run(page)
    container = engine.containers.get("web")
    container.exec(["sh", "-c", "timeout 4 sh -c 'while :; do :; done'; true"], detach=True)
    film.follow(7, 400)
    film.take(2500)


def _port() -> int:
    """Return the port that examples usually have, or a free one."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 8000))
        except OSError:
            return free_port()
    return 8000


def _type(page: Any, film: Film, lines: Any) -> None:
    """Write into the current cell, line by line."""
    page.locator(".jp-CodeCell.jp-mod-selected .cm-content").click()
    for number, line in enumerate(lines):
        page.keyboard.insert_text(line if number == 0 else f"\n{line}")
        film.take(350)
    page.keyboard.press("Escape")  # its completions
    film.take(300)


def _run(page: Any) -> None:
    page.evaluate(
        "() => { window.jupyterapp.commands.execute('notebook:run-cell-and-select-next'); }"
    )
    # The new cell is in sight.
    page.wait_for_timeout(150)
    page.locator(".jp-CodeCell").last.scroll_into_view_if_needed()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
