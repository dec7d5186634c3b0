"""The documentation site builds without a warning and agrees with the product."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from jupyter_containers.commands.grammar import VERBS
from tests.bench.table import table_in

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    words = ["-q", "-W", "--keep-going", "-b", "html", "-d", str(target / "trees")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(DOCS), str(target / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return target / "html"


class _Links(HTMLParser):
    """The links, images and anchors of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.places: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.targets.add(value)
            if name == "id" and value:
                self.places.add(value)


def test_every_inner_link_leads_somewhere(site: Path) -> None:
    found = [page for page in site.rglob("*.html") if "_static" not in page.parts]
    pages = {page: _Links(page) for page in found}
    broken = []
    for page, links in pages.items():
        for target in links.targets:
            if re.match(r"[a-z]+:|//", target):
                continue
            path, _, place = target.partition("#")
            file = (page.parent / path.partition("?")[0]).resolve() if path else page
            file = file / "index.html" if file.is_dir() else file
            if not file.exists() or (
                place and file in pages and place not in pages[file].places | {"top"}
            ):
                broken.append(f"{page.relative_to(site)}: {target}")
    assert broken == []


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r'<(?:script|img|link)[^>]+(?:src|href)="(https?://[^"]+)"')
    found = {match for page in site.rglob("*.html") for match in fetched.findall(page.read_text())}
    assert found == set()


def test_every_verb_and_option_is_in_the_reference(site: Path) -> None:
    text = "".join(page.read_text() for page in (site / "reference/generated").glob("*.html"))
    for verb in VERBS:
        assert f"%container {verb.usage}".split("[")[0].strip() in text, verb.name
        for flag in verb.flags:
            assert f"--{flag.name}" in text, (verb.name, flag.name)


def test_symptoms_are_quoted_as_the_product_says_them() -> None:
    source = "\n".join(file.read_text() for file in (ROOT / "jupyter_containers").rglob("*.py"))
    # The braces of f-strings match anything.
    told = re.sub(r'"\s*\n\s*f?"', "", re.sub(r"\{[^{}]*\}", "\0", source))
    lines = (DOCS / "troubleshooting.md").read_text().splitlines()
    terms = [line for line, after in pairwise(lines) if after.startswith(": ")]
    quoted = [text for term in terms for text in re.findall(r"^`([^`]+)`|, `([^`]+)`$", term)]
    assert len(quoted) > 8
    for text in ("".join(pair) for pair in quoted):
        parts = [re.escape(part.strip(" ,")) for part in text.split("…") if part.strip(" ,")]
        assert all(re.search(part, told) for part in parts), text


def test_the_readmes_links_lead_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md"):
        targets = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text())
        assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_readmes_figures_are_those_of_the_whole_table() -> None:
    whole = (DOCS / "benchmarks.md").read_text().splitlines()
    rows = table_in((ROOT / "README.md").read_text()).splitlines()
    assert [row for row in rows if row.startswith("| ") and row not in whole] == []


def test_the_security_page_names_tests_that_there_are() -> None:
    text = (DOCS / "security.md").read_text()
    named = re.findall(r"`((?:tests/[a-z/]+/)?test_\w+\.py)(?:::(test_\w+))?`", text)
    assert len(named) > 20
    for file, test in named:
        place = ROOT / file if "/" in file else ROOT / "tests/integration" / file
        assert place.exists(), file
        assert not test or f"def {test}(" in place.read_text(), (file, test)


def test_spelling() -> None:
    places = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "notebooks", "scripts"]
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", *places, "jupyter_containers", "labextension/src"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)
