"""The layers of an image in a real JupyterLab: file trees, search and sorting by size."""

from __future__ import annotations

from typing import Any

from tests.browser.conftest import Lab
from tests.browser.test_terminal import LOAD
from tests.integration.waiting import until

BUILD = """%%dockerfile -t layered:1
FROM busybox
RUN mkdir -p /opt/app/lib && echo x > /opt/app/a.txt && \\
    head -c 300000 /dev/zero > /opt/app/lib/large.bin
RUN echo more >> /opt/app/lib/large.bin && rm /opt/app/a.txt
"""


def test_the_layers_of_an_image_unfold(notebook: Any, lab: Lab) -> None:
    opened = notebook(LOAD, BUILD, "%container layers layered:1")
    opened.run_all(60)
    page = opened.page
    page.get_by_text("efficiency").first.wait_for()
    layers = page.locator(".jc-layers > .jc-layers-layer")
    assert layers.count() == 3
    second = layers.nth(1)
    assert "wasted" in second.locator("summary").first.inner_text()
    assert second.locator(".jc-layers-entries").inner_text() == ""
    second.locator("summary").first.click()
    # Folders with one entry unfold by themselves, down to the first with several.
    second.locator(".jc-layers-name", has_text="a.txt").first.wait_for()

    def order() -> list[str]:
        names = second.locator(".jc-layers-name").all_inner_texts()
        return [name for name in names if "a.txt" in name or "lib" in name]

    assert order() == ["+ a.txt", "+ lib/"]
    page.get_by_role("button", name="Largest first").click()
    until(lambda: order() == ["+ lib/", "+ a.txt"])
    page.get_by_role("button", name="Largest first").click()

    page.get_by_label("Search the files of all layers").fill("large.bin")
    until(lambda: not layers.first.is_visible())
    until(lambda: page.locator(".jc-layers .jc-layers-name", has_text="large.bin").count() == 2)
    assert second.locator(".jc-layers-name", has_text="a.txt").count() == 0
    assert "~ large.bin" in layers.nth(2).inner_text()
    page.get_by_label("Search the files of all layers").fill("")
    until(layers.first.is_visible)
    page.locator(".jc-layers-waste summary").click()
    page.get_by_text("in 2 layers").first.wait_for()
    # The saved output is readable without a kernel.
    outputs = page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.content.widgets[2].model.outputs.toJSON()"
    )
    assert "WASTED" in "".join(outputs[0]["data"]["text/plain"])
    assert "<details" in "".join(outputs[0]["data"]["text/html"])
