"""What an engine holds, as collections."""

from __future__ import annotations

import pandas as pd
import pytest

from jupyter_containers.engine import Container, Engine
from jupyter_containers.errors import ContainerNotFoundError, NotFoundError


def test_containers_are_run_found_listed_and_gone_over(engine: Engine, busybox: str) -> None:
    containers = engine.containers
    done = containers.run(busybox, ["echo", "hi"], network="none", rm=True)
    assert not isinstance(done, Container)
    assert done.output == "hi\n"
    with containers.run(busybox, ["sleep", "60"], detach=True, network="none") as one:
        assert isinstance(one, Container)
        two = containers.create(busybox, ["true"], name="two", network="none")
        assert containers() == containers.list() == [one]
        assert containers(all=True) == [two, one] == list(containers)
        assert containers.get(one.short_id) == one == containers[one.name]
        assert (len(containers), "two" in containers, one in containers) == (2, True, True)
        assert "three" not in containers
        with pytest.raises(ContainerNotFoundError):
            containers.get("three")
    # The with block has removed what it ran.
    assert [container.name for container in containers] == ["two"]
    assert containers.prune().removed == (two.id,)
    assert len(containers) == 0
    assert containers


def test_images_volumes_and_networks(engine: Engine, busybox: str) -> None:
    built = engine.builds.build({"Dockerfile": "FROM busybox\nENV A=1\n"}, tag="collected:1")
    assert "collected:1" in engine.images
    assert engine.images.get("collected:1") == built == engine.images[built.short_id]
    names = {name for image in engine.images for name in image.names}
    assert {"collected:1", "busybox:latest"} <= names
    assert engine.images.remove("collected:1")[0] == "Untagged: collected:1"
    assert "collected:1" not in engine.images

    volume = engine.volumes.create("collected")
    assert engine.volumes() == [volume] == list(engine.volumes)
    assert engine.volumes.get("collected") == volume
    engine.volumes.remove("collected")
    assert "collected" not in engine.volumes

    network = engine.networks.create("collected")
    assert engine.networks["collected"] == network
    assert [each.name for each in engine.networks] == ["bridge", "host", "none", "collected"]
    assert engine.networks.get("none").driver == "null"
    engine.networks.remove("collected")
    with pytest.raises(NotFoundError):
        engine.networks.get("collected")


def test_they_are_data_frames_with_numbers_and_times(engine: Engine, busybox: str) -> None:
    with engine.containers.run(
        busybox, ["sleep", "60"], name="framed", detach=True, network="none", label=["a=b"]
    ):
        frame = engine.containers.to_dataframe()
        row = frame.set_index("name").loc["framed"]
        assert (row["status"], row["labels"]) == ("running", {"a": "b"})
        assert row["created"] <= pd.Timestamp.now(tz="UTC")
        stats = pd.DataFrame(engine.containers.stats())
        assert stats.set_index("name").loc["framed", "memory_usage"] > 0
    images = engine.images.to_dataframe()
    assert images["size"].dtype.kind == "i"
    assert engine.images.get(busybox).name in images["name"].tolist()
