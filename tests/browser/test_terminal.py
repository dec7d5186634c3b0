"""``run -it`` and ``exec -it`` in a cell: a real terminal with keyboard input."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.browser.conftest import Lab
from tests.browser.lab import DARK, LabNotebook
from tests.integration.waiting import until

LOAD = "%load_ext jupyter_containers"
_SCREEN = ".jc-screen .xterm-rows"


class Typist:
    """Types into the first terminal of a notebook and reads its screen."""

    def __init__(self, opened: LabNotebook) -> None:
        self.page = opened.page

    def type(self, text: str) -> None:
        self.page.locator(".xterm-helper-textarea").first.focus()
        self.page.keyboard.type(text)

    def screen(self) -> str:
        return str(self.page.locator(_SCREEN).first.inner_text()).replace("\xa0", " ")

    def sees(self, text: str, timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.screen():
            assert time.monotonic() < deadline, self.screen()
            self.page.wait_for_timeout(30)


def names(lab: Lab) -> list[str]:
    with lab.place.engine() as engine:
        return [container.name for container in engine.containers(all=True)]


def test_a_shell_in_a_cell(notebook: Any, lab: Lab) -> None:
    opened = notebook(LOAD, "shell = %container run --rm -it --name typed busybox sh\nshell")
    opened.run_all()
    assert opened.page.locator(".jc-screen").count() == 1
    typist = Typist(opened)
    typist.sees("/ #")
    typist.type("echo sum-$((40+2)); stty size\n")
    typist.sees("sum-42")
    rows, columns = (int(n) for n in re.findall(r"^(\d+) (\d+)\s*$", typist.screen(), re.M)[0])
    assert columns > 80  # as wide as the cell, not a default

    # The program is notified of a narrower window.
    opened.page.set_viewport_size({"width": 800, "height": 1000})
    opened.page.wait_for_timeout(500)
    typist.type("clear; echo now $(stty size)\n")
    typist.sees(f"now {rows} ")
    assert int(re.findall(rf"now {rows} (\d+)", typist.screen())[0]) < columns

    typist.type("exit 3\n")
    opened.page.get_by_text("ended with exit code 3", exact=True).wait_for()
    until(lambda: "typed" not in names(lab))


def test_a_full_screen_program_survives_a_reload(notebook: Any, lab: Lab) -> None:
    opened = notebook(LOAD, "%container run -it --rm --name editor busybox sh", "1 + 1")
    opened.run_all()
    typist = Typist(opened)
    typist.sees("/ #")
    typist.type("vi /etc/passwd\n")
    typist.sees("- /etc/passwd 1/")
    assert "~" in typist.screen()
    opened.command("docmanager:save")
    opened.page.reload()
    opened.page.wait_for_selector(_SCREEN)
    typist.sees("- /etc/passwd 1/")
    typist.type(":q\n")
    typist.sees("# vi /etc/passwd")
    assert "~" not in typist.screen()
    # The cell's container is removed together with its output.
    assert "editor" in names(lab)
    opened.command("notebook:clear-all-cell-outputs")
    until(lambda: "editor" not in names(lab))


def test_a_terminal_lives_while_a_cell_runs_and_in_two_views(notebook: Any, lab: Lab) -> None:
    opened = notebook(
        LOAD,
        "%container run -d --name host busybox sleep 1000",
        "first = %container exec -it host sh",
        "first",
        "import time\nfor _ in range(100): time.sleep(0.1)",
        "first.exit_code",
    )
    opened.start_all()
    typist = Typist(opened)
    opened.page.locator(".jc-screen").nth(1).wait_for()
    opened.page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-InputPrompt')].at(-2).textContent == '[*]:'"
    )
    typist.type("echo a-$((1+1))\n")
    typist.sees("a-2", timeout=4)
    second = opened.page.locator(_SCREEN).nth(1)
    until(lambda: "a-2" in second.inner_text())
    assert "[*]:" in opened.prompts()
    typist.type("exit\n")
    opened.wait_for_end()
    assert opened.outputs("first.exit_code").inner_text().split()[-1] == "0"


def test_end_asks_first(notebook: Any, lab: Lab) -> None:
    opened = notebook(LOAD, "%container run --rm -it --name doomed busybox sh")
    opened.run_all()
    Typist(opened).sees("/ #")
    opened.page.get_by_role("button", name="End", exact=True).click()
    assert "doomed" in names(lab)
    opened.page.get_by_role("button", name="Really end?").click()
    until(lambda: "doomed" not in names(lab))


def test_running_the_cell_again_ends_the_first_terminal(notebook: Any, lab: Lab) -> None:
    opened = notebook(LOAD, "%container run --rm -it --name again busybox sh")
    opened.run_all()
    Typist(opened).sees("/ #")
    opened.run_all()
    assert opened.prompts() == ["[3]:", "[4]:"]
    Typist(opened).sees("/ #")
    assert opened.page.locator(".jc-screen").count() == 1


def test_a_failure_to_start_fails_the_cell(notebook: Any, lab: Lab) -> None:
    opened = notebook(LOAD, "%container run --rm -it --name none busybox no-such-program")
    opened.run_all()
    shown = opened.outputs("no-such-program").inner_text()
    assert "OCIRuntimeError" in shown
    assert "no-such-program" in shown
    assert "none" not in names(lab)


def test_copy_and_paste(notebook: Any, lab: Lab, page: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened = notebook(LOAD, "%container run --rm -it busybox sh")
    opened.run_all()
    typist = Typist(opened)
    typist.sees("/ #")
    page.evaluate("() => navigator.clipboard.writeText('echo pasted-$((2+3))')")
    typist.type("")
    page.keyboard.press("Control+v")
    page.keyboard.press("Enter")
    typist.sees("pasted-5")
    page.get_by_role("button", name="Copy", exact=True).click()
    assert "pasted-5" in page.evaluate("() => navigator.clipboard.readText()")
    opened.theme(DARK)
    page.wait_for_timeout(800)
    ground = page.evaluate(
        "() => getComputedStyle(document.querySelector('.jc-screen')).backgroundColor"
    )
    assert ground == "rgb(17, 17, 17)"
    typist.type("exit\n")


@pytest.mark.parametrize("count", [40])
def test_the_echo_of_a_key_comes_at_once(notebook: Any, lab: Lab, count: int) -> None:
    opened = notebook(LOAD, "%container run --rm -it busybox cat")
    opened.run_all()
    page = opened.page
    page.locator(".xterm-helper-textarea").first.focus()
    page.wait_for_timeout(500)
    times = page.evaluate(
        """async count => {
            const rows = document.querySelector('.xterm-rows');
            const area = document.querySelector('.xterm-helper-textarea');
            const found = [];
            for (let i = 0; i < count; i++) {
                const key = String.fromCharCode(97 + i % 26);
                const before = rows.textContent.trim().length;
                const began = performance.now();
                area.dispatchEvent(new InputEvent('input',
                    {data: key, inputType: 'insertText', composed: true, bubbles: true}));
                while (rows.textContent.trim().length === before) {
                    if (performance.now() - began > 5000) return [];
                    await new Promise(resolve => setTimeout(resolve, 1));
                }
                found.push(performance.now() - began);
            }
            return found.sort((a, b) => a - b);
        }""",
        count,
    )
    assert len(times) == count
    print(f"echo: median {times[count // 2]:.0f} ms, best {times[0]:.0f} ms")
    page.keyboard.press("Control+c")


def test_attach_detaches_when_its_output_goes(notebook: Any, lab: Lab) -> None:
    opened = notebook(
        LOAD, "%container run -dit --name stays busybox sh", "%container attach stays"
    )
    opened.run_all()
    typist = Typist(opened)
    typist.type("echo att-$((1+2))\n")
    typist.sees("att-3")
    opened.command("notebook:clear-all-cell-outputs")
    opened.page.wait_for_timeout(4000)
    with lab.place.engine() as engine:
        assert engine.containers.get("stays").status.alive
        engine.containers.remove("stays", force=True)
