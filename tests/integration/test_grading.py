"""The checks of exercises: each accepts right answers and explains wrong ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from jupyter_containers import Engine, grading
from jupyter_containers.grading import NotYetError

SECRET = "correct-horse-battery"  # long enough to be nowhere by chance
WEB = "mkdir -p /www && echo hello from here > /www/index.html && exec httpd -f -p 80 -h /www"


def verdict(error: pytest.ExceptionInfo[NotYetError]) -> str:
    """Return a check's message for a student, in one line."""
    return " ".join(error.value._render_traceback_())


def built(engine: Engine, tag: str, text: str, **flags: object) -> str:
    engine.build(dockerfile=text, tag=tag, **flags)
    return tag


@pytest.fixture
def web(engine: Engine, busybox: str) -> Iterator[int]:
    """Yield the port of the container ``web``, which has limits, a network and a volume."""
    engine.networks.create("shop")
    engine.run(
        busybox,
        ["sh", "-c", WEB],
        detach=True,
        name="web",
        network="shop",
        volume=["pages:/pages"],
        publish=["80"],
        memory="32m",
        cpus="0.5",
        pids_limit=50,
    )
    yield int(engine.containers.get("web").ports[0].split(":")[1].split("->")[0])
    engine.containers.remove("web", force=True)
    engine.networks.remove("shop")
    engine.volumes.remove("pages")


def test_anything_else() -> None:
    assert grading.that([1], "there is one", otherwise="there is none") == "✓ there is one"
    with pytest.raises(NotYetError, match="there is none") as error:
        grading.that([], "there is one", otherwise="there is none", hint="make one")
    assert error.value._render_traceback_() == ["✗ there is none", "  hint: make one"]


def test_a_running_container(engine: Engine, web: int) -> None:
    assert grading.running("web", engine=engine) == "✓ web runs"
    with pytest.raises(NotYetError, match="web has not ended: Up"):
        grading.exited("web", engine=engine)
    with pytest.raises(NotYetError, match="no such container: ghost"):
        grading.running("ghost", engine=engine)


def test_an_ended_container(engine: Engine, busybox: str) -> None:
    engine.run(busybox, ["sh", "-c", "echo well; echo done; exit 3"], name="ended", check=False)
    assert grading.exited("ended", 3, engine=engine) == "✓ ended ended with exit code 3"
    assert grading.logged("ended", "done", engine=engine) == "✓ ended wrote 'done'"
    assert grading.logged("ended", "well\ndone\n", engine=engine)
    with pytest.raises(NotYetError, match="exit code 3, not 0"):
        grading.exited("ended", engine=engine)
    with pytest.raises(NotYetError, match=r"does not run: Exited \(3\)") as error:
        grading.running("ended", engine=engine)
    assert "%container logs ended" in verdict(error)
    with pytest.raises(NotYetError, match="nothing that ended wrote contains 'more'"):
        grading.logged("ended", "more", engine=engine)


def test_what_was_just_started_has_a_moment(engine: Engine, busybox: str) -> None:
    engine.run(busybox, ["sh", "-c", "sleep 0.3; echo late; exit 4"], name="late", detach=True)
    assert grading.logged("late", "late", engine=engine)
    engine.containers.start("late")
    assert grading.exited("late", 4, engine=engine)


def test_a_container_that_ends_at_once_does_not_run(engine: Engine, busybox: str) -> None:
    engine.run(busybox, ["sleep", "0.2"], name="short", detach=True)
    with pytest.raises(NotYetError, match=r"does not run: Exited \(0\)") as error:
        grading.running("short", engine=engine)
    assert "give it one that goes on" in verdict(error)
    engine.containers.create(busybox, ["sleep", "9"], name="made")
    with pytest.raises(NotYetError, match="does not run: Created") as error:
        grading.running("made", engine=engine)
    assert "%container start made" in verdict(error)


def test_limits(engine: Engine, web: int, busybox: str) -> None:
    told = grading.limit_set("web", memory="64m", cpus=1, pids=100, engine=engine)
    assert told == "✓ web is limited: 32MiB, 0.5 CPUs, 50 processes"
    with pytest.raises(NotYetError, match="memory limit of web is 32MiB, more than 16MiB"):
        grading.limit_set("web", memory="16m", engine=engine)
    with pytest.raises(NotYetError, match=r"0\.5 CPUs, more than 0\.25 CPUs"):
        grading.limit_set("web", cpus=0.25, engine=engine)
    with pytest.raises(NotYetError, match="50 processes, more than 10 processes"):
        grading.limit_set("web", pids=10, engine=engine)
    engine.containers.create(busybox, ["true"], name="free", cpu_quota=150_000, cpu_period=100_000)
    assert grading.limit_set("free", cpus=2, engine=engine).endswith("1.5 CPUs")
    with pytest.raises(NotYetError, match="free has no memory limit") as error:
        grading.limit_set("free", memory="64m", engine=engine)
    assert "run it with --memory 64m" in verdict(error)


def test_a_port(engine: Engine, web: int) -> None:
    assert grading.port_answers(web, contains="hello").startswith("✓ http://127.0.0.1:")
    with pytest.raises(NotYetError, match="answers 'hello from here', which lacks 'bye'"):
        grading.port_answers(web, contains="bye")
    with pytest.raises(NotYetError, match="answers with status 404, not 200"):
        grading.port_answers(web, "nowhere")
    assert grading.port_answers(web, "/nowhere", status=404)
    engine.containers.stop("web", timeout=0)
    with pytest.raises(NotYetError, match="nothing answers at") as error:
        grading.port_answers(web, seconds=0.2, engine=engine)
    assert f"no running container publishes that port: run it with -p {web}:" in verdict(error)


def test_a_port_that_leads_to_nobody(engine: Engine, busybox: str) -> None:
    engine.run(busybox, ["sleep", "60"], name="deaf", detach=True, publish=["80"])
    port = int(engine.containers.get("deaf").ports[0].split(":")[1].split("->")[0])
    with pytest.raises(NotYetError, match="nothing answers at") as error:
        grading.port_answers(port, seconds=0.2, engine=engine)
    assert "the port leads to 80/tcp of deaf" in verdict(error)
    assert "on 0.0.0.0" in verdict(error)
    engine.containers.remove("deaf", force=True)


def test_networks_and_mounts(engine: Engine, web: int) -> None:
    assert grading.on_network("web", "shop", engine=engine)
    assert grading.mounted("web", "/pages", engine=engine) == "✓ web has pages at /pages"
    assert grading.mounted("web", "/pages", "pages", engine=engine)
    with pytest.raises(NotYetError, match="web is in shop, not in bridge"):
        grading.on_network("web", "bridge", engine=engine)
    with pytest.raises(NotYetError, match="no such network: nets") as error:
        grading.on_network("web", "nets", engine=engine)
    with pytest.raises(NotYetError, match="nothing is mounted at /data in web; there is /pages"):
        grading.mounted("web", "/data", engine=engine)
    with pytest.raises(NotYetError, match="is pages, not books") as error:
        grading.mounted("web", "/pages", "books", engine=engine)
    assert "-v books:/pages" in verdict(error)


def test_what_a_volume_holds(engine: Engine, web: int) -> None:
    engine.containers.exec("web", ["sh", "-c", "mkdir /pages/a; echo one > /pages/a/list"])
    assert grading.volume_holds("pages", "a/list", contains="one", engine=engine)
    with pytest.raises(NotYetError, match="is 'one', without 'two'"):
        grading.volume_holds("pages", "/a/list", contains="two", engine=engine)
    with pytest.raises(NotYetError, match="no readable file b"):
        grading.volume_holds("pages", "b", engine=engine)
    with pytest.raises(NotYetError, match="no such volume: papers"):
        grading.volume_holds("papers", "b", engine=engine)


def test_who_a_container_is(engine: Engine, busybox: str) -> None:
    own = built(
        engine,
        "users:own",
        "FROM busybox\nRUN echo ann:x:1000:100::/:/bin/sh >> /etc/passwd\nUSER ann:100",
    )
    other = "FROM busybox\nRUN echo toor::0:0::/:/bin/sh >> /etc/passwd\nUSER toor"
    built(engine, "users:other", other)
    assert grading.runs_as_non_root(own, engine=engine) == "✓ users:own runs as ann, not as root"
    engine.containers.create(own, ["true"], name="ann")
    assert grading.runs_as_non_root("ann", engine=engine)
    engine.containers.create(busybox, ["true"], name="one", user="1000")
    assert grading.runs_as_non_root("one", engine=engine)
    for name, options in {"none": {}, "zero": {"user": "0"}, "root": {"user": "root"}}.items():
        engine.containers.create(busybox, ["true"], name=f"is-{name}", **options)
        with pytest.raises(NotYetError, match=f"is-{name} runs as"):
            grading.runs_as_non_root(f"is-{name}", engine=engine)
    engine.containers.create("users:other", ["true"], name="toor")
    with pytest.raises(NotYetError, match="toor runs as toor"):
        grading.runs_as_non_root("toor", engine=engine)
    with pytest.raises(NotYetError, match="which means root") as error:
        grading.runs_as_non_root(busybox, engine=engine)
    assert "USER 1000" in verdict(error)
    with pytest.raises(NotYetError, match="no such container or image: ghost"):
        grading.runs_as_non_root("ghost", engine=engine)


def test_sizes_layers_and_settings_of_images(engine: Engine, busybox: str) -> None:
    text = 'FROM busybox\nRUN touch /one\nRUN touch /two\nLABEL a=b c=d\nWORKDIR /w\nCMD ["x","y"]'
    image = built(engine, "shape", text)
    assert grading.image_at_most(image, 10, engine=engine)
    assert grading.layers_at_most(image, 4, engine=engine) == "✓ shape has 4 layers, at most 4"
    for setting, value in (("Labels", {"a": "b"}), ("WorkingDir", "/w"), ("Cmd", "y")):
        assert grading.image_sets(image, setting, value, engine=engine)
    with pytest.raises(NotYetError, match=r"more than 0\.1"):
        grading.image_at_most(image, 0.1, engine=engine)
    with pytest.raises(NotYetError, match="4 layers, more than 3") as error:
        grading.layers_at_most(image, 3, engine=engine)
    assert "join commands" in verdict(error)
    for setting, value in (("Labels", {"a": "c"}), ("Labels", {"e": "f"}), ("WorkingDir", "/")):
        with pytest.raises(NotYetError, match=f"{setting} of shape is"):
            grading.image_sets(image, setting, value, engine=engine)
    with pytest.raises(NotYetError, match="no such image: ghost"):
        grading.image_at_most("ghost", 1, engine=engine)


def test_names_of_one_image(engine: Engine, busybox: str) -> None:
    engine.images.tag(busybox, "box:1")
    built(engine, "box:2", "FROM busybox\nLABEL n=2")
    assert grading.same_image(busybox, "box:1", engine=engine)
    with pytest.raises(NotYetError, match=r"box:1 and box:2 are different images"):
        grading.same_image("box:1", "box:2", engine=engine)


def test_files_of_an_image(engine: Engine, busybox: str) -> None:
    text = "FROM busybox\nRUN mkdir /a && echo 1 > /a/kept && echo 1 > /a/gone\nRUN rm /a/gone"
    image = built(engine, "files", f"{text}\nRUN mkdir -p /b/c && touch /b/c/d\nRUN rm -r /b")
    assert grading.has_file(image, "/a/kept", engine=engine)
    assert grading.has_file(image, "/bin/busybox", engine=engine)
    for path in ("/a/gone", "/b/c/d", "/b", "/nowhere"):
        assert grading.has_no_file(image, path, engine=engine)
        with pytest.raises(NotYetError, match=f"files has no {path}"):
            grading.has_file(image, path, engine=engine)
    with pytest.raises(NotYetError, match="files has /a/kept"):
        grading.has_no_file(image, "/a/kept", engine=engine)


def test_whether_a_step_was_cached(engine: Engine, busybox: str) -> None:
    text = "FROM busybox\nRUN echo slow > /slow\nRUN echo {} > /n"
    built(engine, "twice", text.format("one"))
    with pytest.raises(NotYetError, match="was not taken from the cache"):
        grading.step_cached("twice", "echo slow", engine=engine)
    built(engine, "twice:latest", text.format("two"))
    assert grading.step_cached("twice", "echo slow", engine=engine)
    with pytest.raises(NotYetError, match="was not taken from the cache"):
        grading.step_cached("twice", "echo two", engine=engine)
    with pytest.raises(NotYetError, match="has no step with 'pip'"):
        grading.step_cached("twice", "pip", engine=engine)
    with pytest.raises(NotYetError, match="nothing was built as never"):
        grading.step_cached("never", "pip", engine=engine)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f"RUN echo {SECRET} > /key\nRUN rm /key", "/key, its settings or history"),
        (f"ENV TOKEN={SECRET}", "its settings or history"),
        (f"COPY <<EOF /etc/deep/key\nx{SECRET}x\nEOF", "/etc/deep/key"),
    ],
    ids=["removed", "ENV", "COPY"],
)
def test_a_secret_in_an_image_is_found(engine: Engine, busybox: str, text: str, where: str) -> None:
    image = built(engine, "leak", f"FROM busybox\n{text}")
    with pytest.raises(NotYetError, match=re.escape(f"the secret is in leak: {where}")) as error:
        grading.no_secret_in_layers(image, "unrelated", SECRET, engine=engine)
    assert "--mount=type=secret" in verdict(error)


def test_a_secret_that_was_mounted_is_not_in_the_image(engine: Engine, busybox: str) -> None:
    text = "FROM busybox\nRUN --mount=type=secret,id=key wc -c < /run/secrets/key > /length"
    image = built(engine, "safe", text, secret_values={"key": SECRET})
    assert grading.no_secret_in_layers(image, SECRET, engine=engine).startswith("✓ no layer")
    with pytest.raises(ValueError, match="at least one character"):
        grading.no_secret_in_layers(image, engine=engine)
