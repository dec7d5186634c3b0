"""The figures of the README: this engine and Debian's docker.io measured in the same run.

``scripts/bench [--quick] [--only GROUP]… [--update]``.  Everything happens in namespaces of
its own (:mod:`.isolation`), so a Docker that the host already has is neither used nor disturbed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.bench import isolation, tutorial
from tests.bench.plot import svg
from tests.bench.table import Row, line_of, markdown, table_in, updated

GROUPS = (
    *("runs", "execs", "commands", "crowds", "builds", "residents", "loads"),
    *("transfers", "layers", "archives", "listings", "peaks", "networks", "notebook", "panel"),
    *("compose", "rootless", "api"),
)


def main(arguments: list[str]) -> int:
    """Return 0 when everything could be measured, whatever the figures are, else 1."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for trying the bench")
    parser.add_argument("--only", action="append", choices=GROUPS, default=[], metavar="GROUP")
    parser.add_argument(
        "--update", action="store_true", help="write the figures into README and documentation"
    )
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        parser.error("needs root: two engines are started")
    if not isolation.isolated():
        if {"builds", "rootless"} & set(options.only or GROUPS):
            tutorial.prepare()
        return isolation.enter(arguments)
    isolation.bring_up_loopback()
    table, failed = measured(options.only or list(GROUPS), quick=options.quick)
    sys.stdout.write(table)
    if options.update:
        update(table, Path(__file__).resolve().parents[2])
    if failed:
        sys.stderr.write(f"bench: not measured: {', '.join(failed)}\n")
    return 1 if failed else 0


def update(table: str, clone: Path) -> None:
    """Write figures into the documentation, and into README those that it has already."""
    page, readme = clone / "docs/benchmarks.md", clone / "README.md"
    page.write_text(updated(page.read_text(), table, add=True))
    readme.write_text(updated(readme.read_text(), table, add=False))
    (clone / "docs/_static/benchmarks.svg").write_text(svg(table_in(page.read_text())))


def _taken(
    measures: Mapping[str, Callable[[], list[Row]]], groups: Sequence[str]
) -> tuple[list[Row], list[str]]:
    """Return the rows of the groups, and the names of those that could not be measured."""
    rows: list[Row] = []
    failed: list[str] = []
    for name in groups:
        sys.stderr.write(f"bench: {name}\n")
        try:
            found = measures[name]()
        except RuntimeError as error:  # a peer could not, and says why
            sys.stderr.write(f"bench: {name}: {error}\n")
            failed.append(name)
            continue
        # Immediately, so that a stopped run has printed its measurements.
        sys.stderr.write("".join(f"{line_of(row)}\n" for row in found))
        rows += found
    return rows, failed


def measured(groups: list[str], *, quick: bool) -> tuple[str, list[str]]:
    """Return the Markdown table of the groups of figures, and the groups that failed."""
    from tests.bench.contest import Contest
    from tests.bench.machine import machine_line
    from tests.bench.peer import CGROUP, Docker, Podman, remove_cgroups
    from tests.bench.transfers import Transfers

    folder = Path(tempfile.mkdtemp(prefix="jupyter-containers-bench-"))
    try:
        with Docker(folder / "docker") as docker:
            contest = Contest(folder, docker, 5 if quick else 21)
            podman = Podman(folder / "podman")
            transfers = Transfers(folder, contest.engine, docker, podman)

            def networks() -> list[Row]:
                from tests.bench.networks import Networks

                figures = Networks(folder, contest.engine, docker, podman)
                return figures.rows(5 if quick else 15, 20 if quick else 200)

            def panel() -> list[Row]:
                from tests.bench import panel

                return panel.rows(folder, 50 if quick else 500, 5 if quick else 15)

            def notebook() -> list[Row]:
                from tests.bench import notebook

                return notebook.rows(folder, 5 if quick else 21, 50 if quick else 1000)

            def compose() -> list[Row]:
                from tests.bench import compose

                rounds = 3 if quick else 9
                return compose.rows(folder, contest.engine, docker, "bench/busybox", rounds)

            def rootless() -> list[Row]:
                from tests.bench import rootless

                archive = folder / "busybox.tar"
                return rootless.rows(contest.engine, archive, "bench/busybox", 5 if quick else 21)

            def commands() -> list[Row]:
                from tests.bench import commands

                places = contest.places
                rounds = 5 if quick else 21
                return commands.rows(
                    folder, contest.engine, docker, "bench/busybox", places, rounds
                )

            def api() -> list[Row]:
                from tests.bench.api import Figures

                place = folder / "api"
                place.mkdir()
                figures = Figures(place, contest.engine, docker, "bench/busybox")
                return figures.rows(5 if quick else 21, 100 if quick else 1000)

            try:
                measures: dict[str, Callable[[], list[Row]]] = {
                    "runs": contest.runs,
                    "execs": contest.execs,
                    "commands": commands,
                    "crowds": lambda: contest.crowds(10 if quick else 100),
                    "builds": contest.builds,
                    "residents": contest.residents,
                    "loads": lambda: contest.loads(2 if quick else 5),
                    "transfers": lambda: transfers.transfers(1 if quick else 3),
                    "layers": lambda: transfers.layers(1 if quick else 3),
                    "archives": lambda: transfers.archives(1 if quick else 3),
                    "listings": transfers.listings,
                    "peaks": transfers.peaks,
                    "networks": networks,
                    "notebook": notebook,
                    "panel": panel,
                    "compose": compose,
                    "rootless": rootless,
                    "api": api,
                }
                rows, failed = _taken(measures, [name for name in GROUPS if name in groups])
                version = docker("version", "--format", "{{.Server.Version}}")
            finally:
                contest.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        remove_cgroups(CGROUP)
    return markdown(rows, machine_line(version)), failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
