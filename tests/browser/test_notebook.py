"""A notebook in a real JupyterLab as its user sees it, during its run and afterwards."""

from __future__ import annotations

from typing import Any

from tests.browser.conftest import Lab
from tests.browser.lab import DARK, LIGHT
from tests.ports import free_port

# Contrast of a text with what is behind it (WCAG 2, "contrast ratio"): 3 is the least that counts
# as readable for short marks, 4.5 for running text.
LEAST_CONTRAST = 3.0
CONTRASTS = r"""() => {
    const numbers = colour => (colour.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const over = ([r, g, b, a = 1], below) =>
        [r, g, b].map((value, i) => value * a + below[i] * (1 - a));
    const behind = node => {
        if (!node) return [255, 255, 255];
        const colour = numbers(getComputedStyle(node).backgroundColor);
        if ((colour[3] ?? 1) === 1) return colour.slice(0, 3);
        return over(colour, behind(node.parentElement));
    };
    const opacity = node =>
        node ? Number(getComputedStyle(node).opacity) * opacity(node.parentElement) : 1;
    const linear = part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const light = colour => {
        const [red, green, blue] = colour.map(part => linear(part / 255));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const found = [];
    for (const area of document.querySelectorAll('.jp-OutputArea-output')) {
        const walk = document.createTreeWalker(area, NodeFilter.SHOW_TEXT);
        for (let node = walk.nextNode(); node; node = walk.nextNode()) {
            const parent = node.parentElement;
            if (!node.textContent.trim() || !parent.checkVisibility()) continue;
            const ground = behind(parent);
            const colour = numbers(getComputedStyle(parent).color);
            colour[3] = (colour[3] ?? 1) * opacity(parent);
            const [high, low] = [light(over(colour, ground)), light(ground)].sort((a, b) => b - a);
            found.push([node.textContent.trim().slice(0, 40), (high + 0.05) / (low + 0.05)]);
        }
    }
    return found;
}"""
OVERFLOWING = """() => [...document.querySelectorAll('.jp-OutputArea-output')]
    .filter(output => output.scrollWidth > output.clientWidth + 1)
    .map(output => output.textContent.slice(0, 80))"""


BUILD = """%%dockerfile -t web:1
FROM busybox
WORKDIR /srv
RUN echo "<h1>hello</h1>" > index.html && printf '\\033[32mgreen\\033[0m and plain\\n'
EXPOSE 8000
CMD ["httpd", "-f", "-v", "-p", "8000"]"""
ASK = """import time
from urllib.request import urlopen

for pause in (0, 0.1, 0.3, 1):  # the server may still be starting
    time.sleep(pause)
    try:
        page = urlopen("http://localhost:{port}/").read()
        break
    except OSError as error:
        print(error)
page"""
COLOURS = (
    "%container run -d --name colours busybox "
    r"printf '\033[32mgreen\033[0m \033[33mamber\n\033[91mred\n'"
)


def test_the_first_steps_read_well_in_both_themes(notebook: Any, lab: Lab) -> None:
    port = free_port()
    opened = notebook(
        "%load_ext jupyter_containers",
        "%container doctor",
        BUILD,
        "%container images",
        "%container history web:1",
        f"%container run -d --name web -p {port}:8000 -m 512m --cpus=2 web:1",
        ASK.format(port=port),
        "%container ps",
        "%container stats",
        COLOURS,
        "%container wait colours",
        "%container logs colours",
        "%container ps -a",
        "%container inspect web --format '{{json .State}}'",
        "%container rm -f web colours",
    )
    opened.run_all()
    assert opened.prompts() == [f"[{number}]:" for number in range(1, 16)]
    page = opened.page
    shown = page.locator(".jp-Notebook").inner_text()
    assert "Traceback" not in shown
    assert f"127.0.0.1:{port}->8000/tcp" in opened.outputs("%container ps").inner_text()
    assert "b'<h1>hello</h1>\\n'" in shown
    # The charts continue; the container may have ended before the last cell.
    assert "/ 512MiB" in "".join(opened.output_of(8)["text/plain"])

    build = opened.outputs("%%dockerfile").locator(".jp-OutputArea-output")
    assert build.count() == 2  # one display for all of the build, and the image
    assert "[3/5] RUN echo" in build.first.inner_text()
    assert "web:1" in build.last.inner_text()
    log = build.first.locator("details pre")
    assert not log.is_visible()
    build.first.locator("summary").click()
    assert log.is_visible()
    assert log.inner_text().strip() == "green and plain"

    for theme in (LIGHT, DARK):
        opened.theme(theme)
        pale = [(text, ratio) for text, ratio in page.evaluate(CONTRASTS) if ratio < LEAST_CONTRAST]
        assert pale == [], theme
    assert page.evaluate(OVERFLOWING) == []


def test_a_build_shows_its_output_while_it_runs(notebook: Any) -> None:
    opened = notebook(
        "%load_ext jupyter_containers",
        "%%dockerfile --no-cache\nFROM busybox\n"
        "RUN for i in 1 2 3 4; do echo tick $i; sleep 0.5; done",
    )
    opened.start_all()
    opened.page.get_by_text("tick 2").wait_for(timeout=30_000)
    assert opened.prompts()[-1] == "[*]:"
    assert opened.outputs("%%dockerfile").locator(".jp-OutputArea-output").count() == 1
    opened.wait_for_end()
    assert opened.outputs("%%dockerfile").locator(".jp-OutputArea-output").count() == 2


def test_run_all_stops_at_a_failed_build(notebook: Any) -> None:
    opened = notebook(
        "%load_ext jupyter_containers",
        "%%dockerfile -t broken\nFROM busybox\nRUN echo preparing; false",
        "after = 1",
    )
    opened.run_all()
    assert opened.prompts() == ["[1]:", "[2]:", "[ ]:"]
    error = opened.outputs("%%dockerfile").locator(".jp-OutputArea-output").last.inner_text()
    assert error.split("\n")[:3] == [
        "StepFailedError: RUN echo preparing; false ended with exit code 1",
        "  In[2]:3",
        "  >   3 | RUN echo preparing; false",
    ]
    assert "Traceback" not in opened.page.locator(".jp-Notebook").inner_text()


def test_stop_ends_a_container_that_runs_in_the_cell(notebook: Any, lab: Lab) -> None:
    opened = notebook(
        "%load_ext jupyter_containers",
        "%container run --rm --name sleeper busybox sh -c 'echo began; sleep 300'",
    )
    opened.start_all()
    opened.page.get_by_text("began", exact=True).wait_for(timeout=30_000)
    opened.command("notebook:interrupt-kernel")
    opened.page.get_by_text("KeyboardInterrupt: run was interrupted").wait_for(timeout=5_000)
    with lab.place.engine() as engine:
        assert "sleeper" not in [container.name for container in engine.containers(all=True)]
