"""What ``up`` and ``down`` decide: each row was asked of Docker Compose 2.40.3 on a dockerd."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jupyter_containers.compose import LoadOptions, Project, load
from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.applications.lifecycle import (
    plan_kill,
    plan_pause,
    plan_restart,
    plan_start,
    plan_stop,
    removable,
    waits_of,
)
from jupyter_containers.engine.applications.observed import Attached, Instance, Seen
from jupyter_containers.engine.applications.planning import (
    DownWish,
    UpWish,
    network_hash,
    ordered,
    plan_down,
    plan_up,
    volume_hash,
)
from jupyter_containers.engine.applications.steps import (
    Await,
    CreateContainer,
    DiscardContainer,
    Plan,
    StopContainer,
)
from jupyter_containers.errors import InvalidStateError, NotFoundError

FILE = """\
services:
  web:
    image: app
    depends_on: {db: {condition: service_healthy}}
    volumes: [data:/data, /cache]
  db: {image: data}
volumes: {data: }
"""
IDS = {"web": "sha256:w", "db": "sha256:d"}


def project(text: str = FILE) -> Project:
    return load(LoadOptions(text=text, name="p", environment={}, folder="/srv"))


def instance(of: Project, service: str, number: int = 1, **changes: Any) -> Instance:
    model = of.services[service]
    networks = of.model["networks"]
    volumes = of.model.get("volumes", {})
    made = Instance(
        id=f"{service}{number}".ljust(64, "0"),
        name=f"p-{service}-{number}",
        service=service,
        number=number,
        config_hash=of.hash(service),
        image_id=IDS.get(service, ""),
        networks=tuple(networks[key]["name"] for key in model.get("networks", ())),
        attached=tuple(
            Attached(item["target"], volumes[item["source"]]["name"])
            if item.get("source")
            else Attached(item["target"], "anonymous", anonymous=True)
            for item in model.get("volumes", ())
        ),
        dependencies={
            name: (entry["condition"], bool(entry.get("restart")))
            for name, entry in model.get("depends_on", {}).items()
        },
    )
    return replace(made, **changes)


def seen(of: Project, *instances: Instance) -> Seen:
    networks = {
        model["name"]: labels.resource_labels("p", labels.NETWORK, key, {}, network_hash(model))
        for key, model in of.model["networks"].items()
    }
    volumes = {
        model["name"]: labels.resource_labels("p", labels.VOLUME, key, {}, volume_hash(model))
        for key, model in of.model.get("volumes", {}).items()
    }
    return Seen(instances, networks, volumes)


def up(of: Project, now: Seen, **wish: Any) -> Plan:
    return plan_up(of, now, UpWish(**{"images": IDS, **wish}))


def test_a_first_up_makes_everything_and_starts_it_in_order() -> None:
    plan = up(project(), Seen())
    assert plan.keys == (
        "network p_default",
        "volume p_data",
        "surroundings",
        "create p-db-1",
        "create p-web-1",
        "created",
        "start p-db-1",
        "await db service_healthy",
        "start p-web-1",
    )
    steps = {step.key: step for step in plan}
    assert steps["start p-web-1"].needs == ("created", "await db service_healthy")
    assert steps["create p-web-1"].needs == ("surroundings",)  # beside that of db


def test_what_has_not_changed_is_kept() -> None:
    of = project()
    now = seen(of, instance(of, "db"), instance(of, "web"))
    assert up(of, now).keys == (
        "keep p-db-1",
        "keep p-web-1",
        "created",
        "await db service_healthy",
    )


@pytest.mark.parametrize(
    ("changes", "wish", "recreated"),
    [
        ({}, {}, False),
        ({}, {"recreate": "force"}, True),
        ({"config_hash": "other"}, {}, True),
        ({"config_hash": "other"}, {"recreate": "never"}, False),
        ({"image_id": "sha256:old"}, {}, True),
        ({"image_id": "sha256:old"}, {"recreate": "never"}, False),
        ({"networks": ()}, {}, True),
        ({"networks": (), "state": "exited"}, {}, False),
        ({"attached": ()}, {}, True),
        ({"state": "exited"}, {}, False),
        ({"state": "created"}, {}, False),
        ({}, {"chosen": frozenset({"db"}), "recreate": "force"}, False),
        ({}, {"chosen": frozenset({"db"}), "recreate_dependencies": "force"}, True),
    ],
)
def test_a_container_is_made_again_when(
    changes: dict[str, Any], wish: dict[str, Any], recreated: bool
) -> None:
    of = project()
    plan = up(of, seen(of, instance(of, "db"), instance(of, "web", **changes)), **wish)
    assert ("create p-web-1" in plan.keys) is recreated
    assert ("keep p-web-1" in plan.keys) is not recreated
    assert ("start p-web-1" in plan.keys) is (recreated or "state" in changes)


def test_anonymous_volumes_go_on_in_the_next_container() -> None:
    of = project()
    now = seen(of, instance(of, "db"), instance(of, "web", config_hash="other"))

    def created(**wish: Any) -> CreateContainer:
        [found] = [s.action for s in up(of, now, **wish) if isinstance(s.action, CreateContainer)]
        return found

    assert [item.volume for item in created().inherits] == ["anonymous"]
    assert created(renew_volumes=True).inherits == ()
    other = replace(now.instances[1], attached=(Attached("/image", "v", anonymous=True),))
    now = seen(of, now.instances[0], other)
    assert created().inherits == ()
    assert [i.target for i in created(image_volumes={"web": ["/image"]}).inherits] == ["/image"]


@pytest.mark.parametrize(
    ("numbers", "wanted", "added", "removed"),
    [
        ([], 2, [1, 2], []),
        ([1], 3, [2, 3], []),
        ([1, 2, 3], 1, [], [2, 3]),
        ([2, 4], 3, [5], []),
        ([1, 2], 0, [], [1, 2]),
    ],
)
def test_numbers(numbers: list[int], wanted: int, added: list[int], removed: list[int]) -> None:
    of = project(FILE.replace("image: data", f"image: data, scale: {wanted}"))
    now = seen(of, *(instance(of, "db", number) for number in numbers))
    actions = [step.action for step in up(of, now, chosen=frozenset({"db"}))]
    made = [a.number for a in actions if isinstance(a, CreateContainer) and a.service == "db"]
    gone = [a.instance.number for a in actions if isinstance(a, DiscardContainer)]
    assert (made, gone) == (added, removed)


def test_obsolete_containers_go_first_where_a_service_shrinks() -> None:
    of = project()
    now = seen(of, instance(of, "db", 1, config_hash="old"), instance(of, "db", 2))
    plan = up(of, now)
    assert "keep p-db-2" in plan.keys
    assert "remove p-db-1" in plan.keys


def test_services_that_restart_with_another_are_stopped_before_it_is_made_again() -> None:
    of = project(FILE.replace("service_healthy}", "service_healthy, restart: true}"))
    now = seen(of, instance(of, "db", config_hash="old"), instance(of, "web"))
    steps = {step.key: step for step in up(of, now)}
    assert isinstance(steps["stop p-web-1"].action, StopContainer)
    assert "stop p-web-1" in steps["create p-db-1"].needs
    assert "start p-web-1" in steps
    assert "create p-web-1" not in steps


SHARING = """\
services:
  a: {image: x}
  b: {image: x, network_mode: "service:a", volumes_from: [a:ro]}
"""


def test_what_names_another_container_is_made_again_with_it() -> None:
    of = project(SHARING)
    a = instance(of, "a", networks=("p_default",))
    first = up(of, seen(of, a))
    assert "create p-b-1" in first.keys
    from jupyter_containers.compose.project import service_hash
    from jupyter_containers.engine.applications.planning import resolved

    model = resolved(of.services["b"], {"a": a.id})
    assert model is not None
    assert (model["network_mode"], model["volumes_from"]) == (f"container:{a.id}", [a.id])
    b = instance(of, "b", config_hash=service_hash(model), networks=())
    assert "keep p-b-1" in up(of, seen(of, a, b)).keys
    steps = {s.key: s for s in up(of, seen(of, replace(a, config_hash="old"), b))}
    assert "create p-a-1" in steps["create p-b-1"].needs


def test_a_left_out_service_still_lends_its_container() -> None:
    """``up --no-deps b``: it failed with an internal error when only the file was asked."""
    of = project(SHARING)
    a = instance(of, "a", networks=("p_default",))
    only = replace(of, model={**of.model, "services": {"b": of.services["b"]}})
    assert "create p-b-1" in up(only, seen(of, a)).keys
    with pytest.raises(InvalidStateError, match="with service a: container missing"):
        up(only, seen(of))


def test_a_volume_that_differs_is_kept_with_a_warning() -> None:
    of = project()
    volume = labels.resource_labels("p", labels.VOLUME, "data", {}, "old")
    plan = up(of, Seen(volumes={"p_data": volume}))
    assert "doesn't match configuration in compose file" in plan.warnings[0]
    assert "volume p_data" not in plan.keys


def test_orphans_are_told_or_removed() -> None:
    of = project()
    orphan = replace(instance(of, "db"), service="old", name="p-old-1")
    ended = replace(instance(of, "db"), oneoff=True, name="p-db-run-1", state="exited")
    busy = replace(ended, name="p-db-run-2", state="running")
    now = seen(of, orphan, ended, busy)
    [text] = up(of, now).warnings
    assert text.startswith("Found orphan containers ([p-old-1 p-db-run-1]) for this project.")
    keys = up(of, now, remove_orphans=True).keys
    assert {"remove p-old-1", "remove p-db-run-1"} <= {*keys}
    assert "remove p-db-run-2" not in keys


def test_a_changed_network_is_made_again_when_nobody_uses_it() -> None:
    of = project()
    now = seen(of, instance(of, "db"), instance(of, "web"))
    network = {**now.networks["p_default"], labels.CONFIG_HASH: "old"}
    steps = {s.key: s for s in up(of, replace(now, networks={"p_default": network}))}
    assert set(steps["remove network p_default"].needs) == {"stop p-db-1", "stop p-web-1"}
    assert steps["network p_default"].needs == ("remove network p_default",)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("networks: {out: {external: true}}", "network out declared as external, but could not"),
        ("volumes: {out: {external: true}}", 'external volume "out" not found'),
    ],
)
def test_what_is_external_has_to_be_there(section: str, message: str) -> None:
    uses = "networks: [out]" if section.startswith("networks") else "volumes: [out:/out]"
    of = project(f"services: {{a: {{image: x, {uses}}}}}\n{section}\n")
    with pytest.raises(NotFoundError, match=message):
        up(of, Seen())


def test_what_belongs_to_another_project_is_used_with_a_warning() -> None:
    of = project()
    plan = up(of, Seen(networks={"p_default": {}}, volumes={"p_data": {labels.PROJECT: "q"}}))
    assert len(plan.warnings) == 2
    assert "was not created by compose" in plan.warnings[0]
    assert 'created for project "q"' in plan.warnings[1]
    assert "network p_default" not in plan.keys


def test_a_dependency_without_a_container_is_missed() -> None:
    text = "services: {a: {image: x, depends_on: [b]}, b: {image: x, scale: 0}}"
    assert "start p-a-1" in up(project(text), Seen()).keys  # with no replica wanted, nothing waits


def test_conditions() -> None:
    text = """\
services:
  a:
    image: x
    depends_on:
      b: {condition: service_completed_successfully, required: false}
      c: {condition: service_started}
  b: {image: x}
  c: {image: x}
"""
    steps = {step.key: step for step in up(project(text), Seen(), wait=True)}
    wanted = Await("b", ("p-b-1",), "service_completed_successfully", False)
    assert steps["await b service_completed_successfully optional"].action == wanted
    assert "start p-c-1" in steps["start p-a-1"].needs
    assert steps["await a"].action == Await("a", ("p-a-1",), "running_or_healthy")


def test_two_thousand_services_are_planned_in_their_order() -> None:
    """Each waits for the one before; a graph that is walked by recursion ends here."""
    services = ["s0: {image: x}"]
    services += [f"s{n}: {{image: x, depends_on: [s{n - 1}]}}" for n in range(1, 2000)]
    of = project("services:\n" + "".join(f"  {line}\n" for line in services))
    assert ordered(of.services)[:3] == ["s0", "s1", "s2"]
    assert len(up(of, Seen())) == 1 + 2000 + 1 + 2000


# -- down and the others ---------------------------------------------------------------------------


def down(of: Project, now: Seen, **wish: Any) -> Plan:
    return plan_down(
        now,
        DownWish(**wish),
        depends_on=waits_of(of.services, now),
        declared=of.declared,
        networks=["p_default"],
        volumes=["p_data"],
    )


def test_down_goes_the_other_way() -> None:
    of = project()
    now = seen(of, instance(of, "db"), instance(of, "web"))
    steps = {step.key: step for step in down(of, now)}
    assert list(steps) == [
        "remove p-web-1", "remove p-db-1", "containers gone", "remove network p_default"
    ]  # fmt: skip
    assert steps["remove p-db-1"].needs == ("remove p-web-1",)
    assert "remove volume p_data" in down(of, now, volumes=True).keys
    assert "remove image app" in down(of, now, images=("app",)).keys
    assert "remove p-db-1" not in down(of, now, chosen=frozenset({"web"})).keys
    assert down(of, Seen()).keys == ()


def test_down_leaves_orphans_unless_asked() -> None:
    of = project()
    orphan = replace(instance(of, "db"), service="old", name="p-old-1")
    assert "remove p-old-1" not in down(of, seen(of, orphan)).keys
    assert "remove p-old-1" in down(of, seen(of, orphan), remove_orphans=True).keys


def test_down_leaves_services_of_profiles_that_are_not_enabled() -> None:
    of = project()
    beside = replace(instance(of, "db"), service="debug", name="p-debug-1")
    plan = plan_down(
        seen(of, beside),
        DownWish(),
        depends_on=waits_of(of.services, Seen()),
        declared=(*of.declared, "debug"),
        networks=["p_default"],
        volumes=[],
    )
    assert plan.keys == ("remove network p_default",)


def test_lifecycle_plans() -> None:
    of = project()
    db, web = instance(of, "db"), instance(of, "web", state="exited")
    now = seen(of, db, web)
    waits = waits_of(of.services, now)
    assert plan_start(now, waits, ["web"]).keys == ("await db service_healthy", "start p-web-1")
    assert plan_stop(now, waits).keys == ("stop p-db-1",)
    assert plan_restart(now, waits, ["db"]).keys == ("restart p-db-1",)
    assert plan_kill(now).keys == ("kill p-db-1",)
    assert plan_pause(now).keys == ("pause p-db-1",)
    assert [one.name for one in removable(now)] == ["p-web-1"]
    with pytest.raises(NotFoundError, match='service "web" has no container to start'):
        plan_start(seen(of, db), waits, ["web"])


def test_a_restart_takes_those_along_that_want_it() -> None:
    of = project(FILE.replace("service_healthy}", "service_healthy, restart: true}"))
    now = seen(of, instance(of, "db"), instance(of, "web"))
    waits = waits_of(None, now)  # as the labels of the containers tell
    plan = plan_restart(now, waits, ["db"])
    assert plan.keys == ("restart p-db-1", "restart p-web-1")
    assert plan_restart(now, waits, ["db"], no_deps=True).keys == ("restart p-db-1",)


def test_a_network_of_the_project_with_another_key_is_refused() -> None:
    of = project()
    network = labels.resource_labels("p", labels.NETWORK, "other", {}, "")
    with pytest.raises(InvalidStateError, match="incorrect label"):
        up(of, Seen(networks={"p_default": network}))
