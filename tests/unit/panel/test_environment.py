from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from jupyter_containers.panel.environment import frozen, notebook_dockerfile


def package(name: str, version: str = "1.0", origin: dict[str, Any] | None = None) -> Any:
    text = json.dumps(origin) if origin else None
    return SimpleNamespace(metadata={"Name": name}, version=version, read_text=lambda _: text)


def test_the_environment_is_written_down() -> None:
    packages = [package("numpy", "2.1"), package("ipykernel", "7.4"), package("Attrs", "25.0")]
    lines = notebook_dockerfile("work/my book.ipynb", (3, 12), packages).splitlines()
    assert lines[4:] == [
        "FROM python:3.12-slim",
        "WORKDIR /work",
        "COPY <<EOF requirements.txt",
        "Attrs==25.0",
        "ipykernel==7.4",
        "nbclient",
        "numpy==2.1",
        "EOF",
        "RUN pip install --no-cache-dir -r requirements.txt",
        'COPY ["my book.ipynb", "./"]',
        'CMD ["jupyter", "execute", "--inplace", "my book.ipynb"]',
    ]


def test_an_old_nbclient_is_not_asked_for_what_it_lacks() -> None:
    text = notebook_dockerfile("a.ipynb", (3, 11), [package("nbclient", "0.8.0")])
    assert text.endswith('CMD ["jupyter", "execute", "a.ipynb"]\n')


def test_packages_that_no_index_has_are_told_apart() -> None:
    git = {"url": "https://x/y.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    pinned, local = frozen(
        [
            package("a", origin=git),
            package("b", origin={"url": "https://x/b.whl", "archive_info": {}}),
            package("c", origin={"url": "file:///home/me/c", "dir_info": {"editable": True}}),
            package("pip"),
            package("a"),
        ]
    )
    assert pinned == ["a @ git+https://x/y.git@abc", "b @ https://x/b.whl"]
    assert local == ["c 1.0"]
