"""Delays for the user of a notebook: verbs, completion, a flood of lines, the echo of a key.

Verbs and completion are measured in a kernel, the others in a real JupyterLab with Chromium.
Docker has nothing to compare with.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from jupyter_containers.engine import Engine
from tests.bench.table import Row
from tests.bench.turns import Series
from tests.browser.conftest import write_notebook
from tests.browser.lab import LabNotebook, browser_page, lab_server
from tests.integration.engine_fixtures import Place, demolish

LINES = 1_000_000
_LOAD = "%load_ext jupyter_containers"
_QUIET = "--network none busybox"
# The time of a verb including the display of its result, minus the time of its engine call.
_OVERHEAD = """
import json, time
from jupyter_containers.magics.registration import registered
_shell = get_ipython()
_engine = registered(_shell).engine
_engine.run("busybox", ["sleep", "600"], detach=True, name="bench-verbs", network="none")
_lines = {
    "containers.run": "run --rm --network none busybox true",
    "containers.exec": "exec bench-verbs true",
    "containers.__call__": "ps",
    "images.__call__": "images",
    "system.inspect": "inspect bench-verbs",
}
_inside = 0.0
def _timed(call):
    def timed(*args, **flags):
        global _inside
        began = time.perf_counter()
        try:
            return call(*args, **flags)
        finally:
            _inside += time.perf_counter() - began
    return timed
for _call in _lines:
    _noun, _, _verb = _call.partition(".")
    _service = type(getattr(_engine, _noun))
    setattr(_service, _verb, _timed(getattr(_service, _verb)))
_found = {}
for _call, _line in _lines.items():
    for _round in range(-2, ROUNDS):
        _inside, _began = 0.0, time.perf_counter()
        _shell.display_formatter.format(_shell.run_line_magic("container", _line))
        _cost = time.perf_counter() - _began - _inside
        assert _inside > 0, _line
        if _round >= 0:
            _found.setdefault(_line.partition(" ")[0], []).append(_cost)
_engine.containers.remove("bench-verbs", force=True)
print("BENCH" + json.dumps(_found))
"""
_PEAK = """import re
def peak():
    with open('/proc/self/status') as file:
        return int(re.search('VmHWM: *\\t* *([0-9]+)', file.read())[1]) * 1024 / 1e6
before = peak()"""
# The page's own clock: every frame, and from a real click to the frame that shows its effect.
_WATCH = """() => {
    window.frames_seen = []; window.clicks_seen = [];
    let last = performance.now();
    const frame = now => {
        window.frames_seen.push(now - last); last = now;
        if (window.frames_seen) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    const target = document.createElement('button');
    target.id = 'bench-target';
    target.style = 'position:fixed;top:0;left:0;width:40px;height:20px;z-index:99999';
    target.addEventListener('click', event => {
        requestAnimationFrame(() => requestAnimationFrame(() =>
            window.clicks_seen.push(performance.now() - event.timeStamp)));
    });
    document.body.appendChild(target);
}"""
_ECHO = """async count => {
    const rows = document.querySelector('.xterm-rows');
    const area = document.querySelector('.xterm-helper-textarea');
    const found = [];
    for (let i = 0; i < count; i++) {
        const before = rows.textContent.trim().length;
        const began = performance.now();
        area.dispatchEvent(new InputEvent('input', {
            data: String.fromCharCode(97 + i % 26),
            inputType: 'insertText', composed: true, bubbles: true,
        }));
        while (rows.textContent.trim().length === before) {
            if (performance.now() - began > 5000) throw new Error('no echo');
            await new Promise(resolve => setTimeout(resolve, 1));
        }
        found.push((performance.now() - began) / 1000);
    }
    return found;
}"""


def rows(folder: Path, rounds: int, images: int) -> list[Row]:
    """Return the figures; completion among so many images."""
    place = Place.under(folder / "notebook")
    notebooks = folder / "notebook/notebooks"
    notebooks.mkdir(parents=True)
    environ = place.variables
    with place.engine() as engine:
        try:
            engine.images.bootstrap("busybox")
            found = _in_kernel(environ, engine, rounds, images)
            with (
                lab_server(folder / "notebook", notebooks, environ) as address,
                browser_page(1200, 850) as page,
            ):
                return [*found, *_in_page(page, address, notebooks, rounds)]
        finally:
            demolish(engine)


def _in_kernel(environ: dict[str, str], engine: Engine, rounds: int, images: int) -> list[Row]:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(
        kernel_name="python3", env={**os.environ, **environ}, stderr=subprocess.DEVNULL
    )
    said: list[str] = []

    def collect(message: dict[str, Any]) -> None:
        content = message["content"]
        said.append(str(content.get("text", "") or "\n".join(content.get("traceback", []))))

    def run(source: str) -> None:
        client.execute_interactive(source, output_hook=collect, timeout=120)

    try:
        run(_LOAD)
        run(_OVERHEAD.replace("ROUNDS", str(rounds)))
        text = "".join(said)
        if "BENCH" not in text:
            raise RuntimeError(f"the kernel did not measure anything:\n{text[-2000:]}")
        costs = json.loads(text.partition("BENCH")[2].splitlines()[0])
        for number in range(images):
            engine.images.tag("busybox", f"many/image{number}:1")
        asked = [_completed(client) for _ in range(rounds + 1)][1:]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return [
        *(
            Row(f"`%container {name}` beyond its Python call", "ms", Series(tuple(cost)), limit=5)
            for name, cost in costs.items()
        ),
        Row(f"completion with {images:,} images", "ms", Series(tuple(asked)), limit=50),
    ]


def _completed(client: Any) -> float:
    """Return the seconds until the front end has received its completions."""
    code = "%container run --rm many/image1"
    began = time.perf_counter()
    answer = client.complete(code, reply=True, timeout=30)
    took = time.perf_counter() - began
    if not answer["content"]["matches"]:
        raise RuntimeError(f"nothing completes {code!r}")
    return took


def _in_page(page: Any, address: str, notebooks: Path, rounds: int) -> list[Row]:
    flood = f"sh -c 'seq 1 {LINES}'"
    found = []
    for what, source in {
        "run": f"%container run --rm {_QUIET} {flood}",
        "logs -f": f"%container run -d --name talk {_QUIET} {flood}\n%container logs -f talk",
    }.items():
        opened = _opened(page, address, notebooks, _LOAD, _PEAK, source, "peak() - before")
        found += _flooded(opened, what)
    opened = _opened(page, address, notebooks, _LOAD, f"%container run --rm -it {_QUIET} cat")
    opened.run_all()
    page.locator(".xterm-helper-textarea").first.focus()
    page.wait_for_timeout(500)
    echo = Series(tuple(page.evaluate(_ECHO, 2 * rounds)))
    page.keyboard.press("Control+c")
    page.wait_for_timeout(500)
    return [*found, Row("the echo of a key in a cell's terminal", "ms", echo, limit=60)]


def _opened(page: Any, address: str, notebooks: Path, *cells: str) -> LabNotebook:
    path = notebooks / f"bench-{len(list(notebooks.iterdir()))}.ipynb"
    write_notebook(path, *cells)
    return LabNotebook(page, address, path)


def _flooded(opened: LabNotebook, what: str) -> list[Row]:
    """Run the notebook, click continuously, and return the delays of kernel and page."""
    page = opened.page
    page.evaluate(_WATCH)
    opened.start_all()
    ended, until = 0.0, time.monotonic() + 120
    # Two more seconds: the page may still be drawing received output.
    while not ended or time.monotonic() - ended < 2:
        if time.monotonic() > until:
            raise RuntimeError(f"a flood of `{what}` does not end")
        page.mouse.click(10, 10)
        page.wait_for_timeout(40)
        if not ended and opened.prompts()[-1].strip("[]: *").isdigit():
            ended = time.monotonic()
    frames = page.evaluate(
        "() => { const seen = window.frames_seen; window.frames_seen = null; return seen; }"
    )
    clicks = page.evaluate("() => window.clicks_seen")
    grown = float(opened.output_of(3)["text/plain"])
    lines = f"{LINES:,} lines of `{what}`"
    return [
        Row(f"{lines}: memory added to the kernel", "MB", Series((grown,)), limit=100),
        Row(f"{lines}: a click meanwhile", "ms", _milliseconds(clicks), limit=100),
        Row(f"{lines}: the longest frame of the page", "ms", _milliseconds([max(frames)])),
    ]


def _milliseconds(values: list[float]) -> Series:
    return Series(tuple(value / 1000 for value in values))
