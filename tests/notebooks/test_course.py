"""Every lesson of the course works: its outputs, its exercises unanswered and answered.

``test_quickstart`` has the first one.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.integration.bases import BaseImages
from tests.integration.engine_fixtures import Place
from tests.notebooks.course import (
    BASES,
    LESSONS,
    NOTEBOOKS,
    Lesson,
    argv_of,
    exercises_work,
    lesson_in,
    shows,
    shows_no_traceback,
)
from tests.notebooks.kernels import environment

# For each lesson: text from a cell, and its expected output (regular expressions).
SHOWN: dict[str, dict[str, tuple[str, ...]]] = {
    "01_what_a_container_is": {
        "exec box ps": (r"1 root +sleep 3600",),
        "others = sum": (r"outside, the container is process \d+: 'sleep 3600'",),
        "readlink": (r"pid +pid:\[(\d+)\] +pid:\[(?!\1)\d+\]", r"net +net:\[(\d+)\] +net:\[(?!\1)"),
        "socket.gethostname": ("the container's host name: island",),
        "ip -4 addr": (r"eth0@.*\n +inet 10\.",),
        "explain box": ("Namespaces", "Control groups", "Layers", "Privileges"),
        "ps -a --filter name=box": (r"Exited \(137\)",),
    },
    "02_images_and_layers": {
        "layers stack": (r"2 +23B +2 +0 +0 ", r"3 +15B +0 +1 +0 ", r"4 +0B +0 +0 +1 "),
        "cat /notes/a.txt; ls": (r"second version\na\.txt\n",),
        "%container save -o stack.tar": (r"layer 4: \['notes/\.wh\.b\.txt'\]",),
        "print(layer.extractfile(name)": (r"a secret",),
        "images --filter reference=care": (r"careful .* 1\.98MB", r"careless .* 22MB"),
        "layers careless": ("wasted 20MB",),
        "exec two cat": (r"^second version\s*$",),
        "diff one": (r"C /notes/a\.txt",),
        "diff stack stack:edited": (r"C /notes/a\.txt", "4 layers in common"),
    },
    "03_names_tags_digests": {
        "images shop": (r"1\.0 +(\w{12}) .*\n(.*\n)*.*stable +\1",),
        "rmi shop:1.0": (r"^Untagged: shop:1\.0\s*$",),
        "run --rm shop:stable": (r"version 1\.0",),
        "dangling=true": ("<none>",),
        'print("manifest ': (r"manifest +sha256:\w{64}", r"layer +sha256:\w{64}"),
    },
    "04_the_dockerfile": {
        "run --rm greeter sh": (r"^/app\nHello\s*$",),
        "run --rm greet Ada": ("Hello, whoever you are\nHello, Ada and Grace\nno greeting today",),
        "rainy, 14": (r"COPY \. \. · app\.py changed", r"pip install .* · the parent changed"),
        "sunny again": (r"pip install .* · CACHED", r"COPY \. \. · app\.py changed"),
        "cat .env": ("API_KEY=do-not-tell",),
        "run --rm weather ls -A": (r"\.dockerignore\nDockerfile\napp\.py\nrequirements\.txt",),
        "--check": ("SecretsUsedInArgOrEnv", "WorkdirRelativePath", "JSONArgsRecommended"),
        "--call=outline": ("PYTHON", "WHOM", "whom to greet"),
        "run --rm greeting": ("hello Beijing",),
        "reference=site": (r"site .* 1\.9\dMB", r"greeter .* 1\d\dMB"),
    },
    "05_run_and_life_cycle": {
        "for i in 3 2 1": (r"3\n2\n1\nliftoff",),
        "I am a shell script": (r"on a machine called \w{12}\.",),
        "ps --watch": (r"Up .* clock",),
        "logs --tail 2 -t": (r"^\d{4}-\d\d-\d\dT.*\n\d{4}-\d\d-\d\dT",),
        "nosuchprogram": (r"true +exit code 0", r"exit 3 +exit code 3", r"program +exit code 127"),
        "settle in": (r"polite took [01]\.", r"stubborn took [1-9]\."),
        "logs polite": ("saving my work",),
        "with --init": (r"with --init: [012]\.",),
        "exec clock cat /note": ("I was here",),
        "pause clock": (r"\(Paused\)",),
        "logs phoenix": (r"(I try\n){3}",),
        "restarted {{": ("restarted 2 times, now exited",),
        "State.Health.Status": ("healthy",),
        "container events": ("die polite", "health_status: healthy patient"),
    },
    "06_limits": {
        "run --name hungry": (r"was killed: out of memory \(exit code 137\)", "64 MiB"),
        "ps -a --filter name=hungry": (r"Exited \(137, out of memory\)",),
        "OOMKilled": (r"true 137",),
        "container stats growing": (r"MiB / 100MiB",),
        "stats --no-stream growing": (r"MiB / 200MiB",),
        "--cpus 0.5 -v": (r"with [1-6]\d% of a CPU",),
        "-c 3072": ("fair1", "fair2"),
        "--pids-limit 20": ("can't fork",),
        "in use:": (r"in use: \d+ MiB, 1 process",),
    },
    "07_networks_and_ports": {
        'print(get("http://localhost:': (r"I am \w{12}, at 10\.",),
        "port web": (r"8080/tcp -> 127\.0\.0\.1:\d+",),
        "run --rm -p ": ("already published by container web",),
        "http://shop:8080 2>": (r"I am \w{12}, at 10\.",),
        "cat /etc/hosts": (r"10\.\S+\s+shop ",),
        "exec web wget": ("bad address 'shop:8080'",),
        "ping -c 1": ("100% packet loss",),
        "exec shop sh": (r"I am \w{12}, at 10\.",),
        "--network none busybox": (r"^1: lo: .*\n.*127\.0\.0\.1",),
        "container:web busybox netstat": (r":8080 .* LISTEN",),
        "seconds=1))": ("no answer",),
        "exec inner netstat": (r"127\.0\.0\.1:8080",),
    },
    "08_volumes_and_data": {
        "run --rm busybox cat /thesis": ("No such file", "exit code 1"),
        "Tuesday: still": ("Monday: it works\nTuesday: still there",),
        "tail -n 2 /journal": (r"(.*\d\d:\d\d:\d\d.*\n){2}",),
        "busybox rm /journal/log": ("Read-only file system",),
        "except ContainersError as error:\n    print(error.report())": (
            "is used by container writer",
        ),
        "v recovered:/journal busybox cat": ("Monday: it works\nTuesday: still there",),
        '"note.txt").read_text()': ("written by the notebook\nwritten by the container",),
        '"passwd").read_text()': ("root:x:0:0",),
        "--tmpfs /scratch": (r"8\.0M .*/scratch", "secret"),
        "--read-only": ("fine", "Read-only file system"),
    },
    "09_registries": {
        "registry ls": (r"library/poem +1, latest",),
        "tags/list": (r"'tags': \[",),
        "Docker-Content-Digest": (r"sha256:\w{64}\n +\d+ bytes  sha256:\w{64}",),
        "assert pulled.digest": ("Roses are red,\nlayers are stacked,",),
        "--pull always localhost": (r"Violets are blue\.",),
        "ONLINE = False": ("offline: skipped",),
        "with everything in it": (r"[12]\.\d MB", "Violets"),
    },
    "10_web_app_and_database": {
        "%%compose": (r"app +running, healthy", r"db +running, healthy"),
        "grading.no_secret": ("no layer of guest-app has the secret",),
        'sign("Grace")': (r"'guests': \['Ada', 'Grace'\].*'version': 1",),
        "redis-cli -h db ping": ("exit code 1",),
        "read()": (r"\['Ada', 'Grace'\]",),
        'sign("Katherine")': ("'Katherine'", "'version': 2", r"s from version 1 to version 2"),
        "a database, only": (r"at 127\.0\.0\.1:\d+", "PONG"),
    },
    "11_data_science": {
        "import numpy\n": (r"Python 3\.\d+\.\d+ · pandas 2\.2\.3 · numpy 2\.1\.3",),
        "sort_values": (r"count +mean +max", r"(?s)Berlin.*Beijing"),
        'wc -l > "$rows': ("city,price,items",),
        "container map": ("1000003 True", "1000035 False"),
        "describe(sales)": (r"^\d\d\.\d+",),
        "containers in": (r"6 containers in", r"\[(\d\d\.\d+, ){5}\d\d\.\d+\]"),
        "identical, to": ("identical, to the last digit",),
    },
    "12_security": {
        "run --rm busybox id": (r"uid=0\(root\)",),
        "attempts = {": (r"✗ mount a file system: refused", r"✗ make a disk device: refused"),
        'section("Privileges")': (r"taken away .*SYS_ADMIN", r"seccomp\) +filter"),
        "--cap-drop ALL --read-only": ("CapEff:\t0000000000000000", "Read-only file system"),
        '("leak:arg", "leak:env")': ("the secret is in leak:arg", "the secret is in leak:env"),
        "history --no-trunc": (r"ENV API_KEY=sk-\w{3}…",),
        "cat /log": ("no layer of safe has the secret", "with a key of 35 letters"),
    },
    "13_for_teachers": {
        "container doctor": ("runc",),
        "store share": ("a new student has course:week1", "Welcome to week 1!"),
        "USB stick": (r"[01]\.\d MB",),
        'lab["limits"]': ("'containers': 5",),
        "dir(grading)": ("runs_as_non_root", "no_secret_in_layers"),
        'grading.running("web")': ("✓ web runs", "✗ web runs as nobody in particular"),
        "for student, notebook": (
            r"^ann: 5 of 5",
            r"^bob: 2 of 5 .*which means root",
            r"^eve: 0 of 5 .*exit code 1, not 0.*no such image: tiny",
        ),
    },
}


@pytest.fixture(scope="module")
def bases(place: Place, base_images: BaseImages) -> Iterator[Place]:
    """Yield the store with the images that the lessons begin with."""
    with place.engine() as engine:
        base_images.bring(engine, *BASES)
        before = {name for image in engine.images() for name in image.names}
        yield place
        left = [item.name for item in engine.containers(all=True)]
        added = {name for image in engine.images() for name in image.names} - before
    assert left == []
    assert added == set(), "lessons leave the images that they began with"


@pytest.fixture(scope="module", params=LESSONS[1:])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def lesson(name: str, bases: Place, tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    folder = tmp_path_factory.mktemp(name)
    argv = argv_of(name, folder)
    done = subprocess.run(
        argv, env=environment(bases), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return lesson_in(folder, name)


def test_it_shows_what_it_says(name: str, lesson: Lesson) -> None:
    shows(lesson, SHOWN[name])


def test_an_exercise_without_an_answer_gets_a_verdict_and_one_with_it_passes(
    lesson: Lesson,
) -> None:
    exercises_work(lesson)


def test_no_cell_shows_a_traceback(lesson: Lesson) -> None:
    shows_no_traceback(lesson)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.rglob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebooks_in_the_tree_are_whole(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    first = notebook.cells[0].source
    learn = "你将学到" if path.parent.name == "zh" else "What you will learn"
    assert re.match(r"# ", first)
    assert f"**{learn}**" in first


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.rglob("*.ipynb")), ids=lambda path: path.stem)
def test_exercises_are_marked_for_nbgrader(path: Path) -> None:
    cells = {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}
    marked = {name for name, cell in cells.items() if "nbgrader" in cell.metadata}
    exercises = {name for name in cells if name.startswith("exercise-")}
    checks = {name.replace("exercise", "check") for name in exercises}
    assert marked == exercises | checks
    for name in marked:
        mark = cells[name].metadata.nbgrader
        assert (mark.grade_id, mark.schema_version, mark.task) == (name, 3, False)
        test = name in checks
        assert (mark.grade, mark.locked, mark.solution) == (test, test, not test)
        assert mark.get("points") == (1 if test else None)
        assert cells[name].metadata.get("tags", []) == (["raises-exception"] if test else [])


@pytest.mark.parametrize("path", sorted((NOTEBOOKS / "zh").glob("*.ipynb")), ids=lambda p: p.stem)
def test_the_chinese_notebook_has_the_same_code(path: Path) -> None:
    here, there = (
        nbformat.read(file, as_version=4).cells for file in (path, NOTEBOOKS / path.name)
    )
    assert [(cell.cell_type, cell.id, cell.metadata) for cell in here] == [
        (cell.cell_type, cell.id, cell.metadata) for cell in there
    ]
    for ours, theirs in zip(here, there, strict=True):
        if ours.cell_type == "code":
            assert ours.source == theirs.source
        else:
            assert re.search("[\u4e00-\u9fff]", ours.source), ours.source
