"""Builds in a real JupyterLab: in progress, and failed."""

from __future__ import annotations

import os
import re
from typing import Any

from tests.browser.conftest import Lab
from tests.browser.test_terminal import LOAD, Typist, names
from tests.integration.registry_server import ScriptedRegistry
from tests.integration.served_image import ServedImage, member, tar
from tests.integration.waiting import until

STAGES = """%%dockerfile --no-cache -t staged:1
FROM busybox AS left
RUN for i in $(seq 1 40); do printf "\\033[32mleft\\033[0m %s of many lines\\n" $i; sleep 0.1; done
FROM busybox AS right
RUN for i in $(seq 1 40); do printf "right $i\\r"; sleep 0.1; done; echo
FROM busybox
COPY --from=left /etc/passwd /left
COPY --from=right /etc/passwd /right
"""
# In one call, because the display is redrawn ten times a second.
_TITLE_LEFT = """area => [...area.querySelectorAll('span')]
    .find(span => span.title.startsWith('[left 2/2]')).getBoundingClientRect().x"""


def test_a_build_with_debug_opens_a_shell_in_what_a_step_left(notebook: Any, lab: Lab) -> None:
    before = names(lab)
    opened = notebook(
        LOAD,
        "%%dockerfile --debug\nFROM busybox\nWORKDIR /w\nRUN echo half > done; echo why; exit 3",
        "after = 1",
    )
    opened.run_all()
    assert opened.prompts() == ["[1]:", "[2]:", "[ ]:"]
    typist = Typist(opened)
    typist.sees("/w #")
    typist.type("cat done\n")
    typist.sees("half")
    outputs = opened.outputs("%%dockerfile")
    assert "StepFailedError" in outputs.locator(".jp-OutputArea-output").last.inner_text()
    assert "after RUN echo half" in outputs.inner_text()
    typist.type("exit\n")
    opened.page.get_by_text("ended with exit code 0").wait_for()
    until(lambda: names(lab) == before)


def test_running_steps_show_their_last_lines_and_stay_where_they_are(notebook: Any) -> None:
    opened = notebook(LOAD, STAGES)
    opened.start_all()
    page = opened.page
    page.get_by_text("right 1").first.wait_for(timeout=30_000)
    shown = opened.outputs("%%dockerfile")
    until(lambda: re.search(r"^left 1\d of", shown.inner_text(), re.M))
    running = shown.inner_text()
    # Eight lines of one step, the other's line in its last state, and no step that waits.
    assert len(re.findall(r"^left \d+ of many lines", running, re.M)) == 8
    assert len(re.findall(r"^right \d+$", running, re.M)) == 1
    assert "COPY" not in running.partition("[right 2/2]")[2]
    left = shown.evaluate(_TITLE_LEFT)
    opened.wait_for_end()
    assert shown.evaluate(_TITLE_LEFT) == left
    times = [float(one) for one in re.findall(r"^([\d.]+)s$", shown.inner_text(), re.M)]
    assert len([seconds for seconds in times if seconds > 2]) == 2, "only the RUN steps took long"


# The times of redraws, in milliseconds.
_WATCH_DISPLAY = """area => {
    window.drawn = [];
    new MutationObserver(() => window.drawn.push(performance.now()))
        .observe(area, {subtree: true, childList: true, characterData: true});
}"""


def test_a_pull_shows_its_progress_in_one_calm_display(notebook: Any, lab: Lab) -> None:
    served = ServedImage(pace=0.02)
    served.image([tar(member("a", os.urandom(6_000_000))), tar(member("b", b"b"))], "1")
    with ScriptedRegistry(served) as registry:
        opened = notebook(LOAD, f"%container pull {registry.host}/slow:1")
        page = opened.page
        opened.outputs("pull").evaluate(_WATCH_DISPLAY)
        opened.start_all()
        shown = opened.outputs("pull")
        until(lambda: re.search(r"\d[\d.]* ?[kM]B", shown.inner_text()), 30)
        assert opened.prompts()[-1] == "[*]:"
        assert shown.locator(".jp-OutputArea-output").count() == 1
        opened.wait_for_end()
    # The display stays where it was, the image below it.
    assert shown.locator(".jp-OutputArea-output").count() == 2
    assert "slow:1" in shown.locator(".jp-OutputArea-output").last.inner_text()
    drawn = page.evaluate("() => window.drawn")
    seconds = (drawn[-1] - drawn[0]) / 1000
    assert seconds > 1
    # One redraw makes several mutations, in one frame.
    frames = {round(moment / 50) for moment in drawn}
    assert len(frames) <= 10 * seconds + 5
    ended = len(drawn)
    page.wait_for_timeout(1000)
    assert len(page.evaluate("() => window.drawn")) == ended
