"""Every verb of the grammar in cells of a real kernel: execution, output, and help.

The cells run in order on one store; each verb uses the objects that earlier ones created.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from nbclient import NotebookClient

from jupyter_containers.commands.grammar import GROUPS, VERBS, Verb
from tests.integration.engine_fixtures import Place, demolish
from tests.notebooks.kernels import kernel, run_cell, text_of
from tests.ports import free_port

# Verb, cell, and a pattern for its output: "" matches any output, "!" marks an error.
STORY: list[tuple[str, str, str]] = [
    ("version", "%container version", "Version"),
    ("info", "%container info", "Containers"),
    ("doctor", "%container doctor", "CAPABILITY"),
    ("bootstrap", "%container bootstrap busybox", "busybox"),
    ("images", "%container images", "REPOSITORY"),
    ("history", "%container history busybox", "CREATED BY"),
    ("layers", "%container layers busybox", "efficiency"),
    ("tag", "%container tag busybox two:1", ""),
    ("image inspect", "%container image inspect two:1", "RootFS"),
    ("inspect", "%container inspect two:1", "RootFS"),
    ("build", "%%container build -t built:1 -\nFROM busybox\nRUN echo made > /made\n", "built:1"),
    ("diff", "%container diff busybox built:1", "made"),
    ("builder du", "%container builder du", "RUN echo made"),
    ("builder debug", "%container builder debug cat /half", "done"),
    ("builder prune", "%container builder prune -af", "Total"),
    ("save", "%container save -o saved.tar two:1", ""),
    ("rmi", "%container rmi two:1", "Untagged"),
    ("load", "%container load -i saved.tar", "Loaded image: two:1"),
    ("network create", "%container network create shop", "[0-9a-f]{64}"),
    ("network ls", "%container network ls", "NETWORK ID"),
    ("volume create", "%container volume create data", "data"),
    ("volume ls", "%container volume ls", "VOLUME NAME"),
    ("volume inspect", "%container volume inspect data", "Mountpoint"),
    ("create", "%container create -it --name app -p {port}:80 busybox sh", "<Container app"),
    ("start", "%container start app", "app"),
    ("run", "%container run --rm --network none busybox echo said", "said"),
    ("ps", "%container ps", "CONTAINER ID"),
    ("port", "%container port app", "80/tcp"),
    ("exec", "%container exec app touch /new", ""),
    ("container diff", "%container container diff app", "A /new"),
    ("cp", "%container cp app:/etc/passwd passwd", ""),
    ("top", "%container top app", "PID"),
    ("stats", "%container stats app", "MEM USAGE"),
    ("explain", "%container explain app", "Namespaces"),
    ("update", "%container update --memory 64m --memory-swap 64m app", "app"),
    ("pause", "%container pause app", "app"),
    ("unpause", "%container unpause app", "app"),
    ("network connect", "%container network connect shop app", ""),
    ("network inspect", "%container network inspect shop", "app"),
    ("network disconnect", "%container network disconnect shop app", ""),
    ("rename", "%container rename app site", ""),
    ("container inspect", "%container container inspect site", "HostConfig"),
    ("commit", "%container commit site committed:1", "<Image committed:1"),
    ("export", "%container export -o exported.tar site", ""),
    ("import", "%container import exported.tar imported:1", "<Image imported:1"),
    ("logs", "%container logs site", ""),
    ("events", "%container events --since 1h --until 0s --filter container=site", "rename"),
    ("restart", "%container restart -t 0 site", "site"),
    ("kill", "%container kill site", "site"),
    ("wait", "%container wait site", "137"),
    ("stop", "%container stop site", "site"),
    ("attach", "%container attach talker", "heard"),
    ("rm", "%container rm talker", "talker"),
    ("map", "%%container map --network none busybox echo got {}\na\nb\n", "got b"),
    ("container prune", "%container container prune -f", "Total"),
    ("registry start", "%container registry start --no-auth -p {registry}", "registry"),
    ("login", "%%container login -u me --password-stdin localhost:{registry}\nsecret", "Succeeded"),
    ("push", "%container push localhost:{registry}/one:1", "sha256:"),
    ("pull", "%container pull localhost:{registry}/one:1", "localhost"),
    ("registry ls", "%container registry ls localhost:{registry}", "one"),
    ("registry tags", "%container registry tags localhost:{registry}/one", "1"),
    ("registry referrers", "%container registry referrers localhost:{registry}/one:1", ""),
    ("search", "%container search localhost:{registry}/one", "one"),
    ("manifest create", "%container manifest create {list} localhost:{registry}/one:1", "Created"),
    ("manifest annotate", "%container manifest annotate --os linux {list} {one}", ""),
    ("manifest inspect", "%container manifest inspect {list}", "manifests"),
    ("manifest push", "%container manifest push {list}", "sha256:"),
    ("manifest rm", "%container manifest rm {list}", ""),
    ("registry rm", "%container registry rm localhost:{registry}/one:1", "sha256:"),
    ("logout", "%container logout localhost:{registry}", "Removing"),
    ("registry stop", "%container registry stop", "registry"),
    ("network rm", "%container network rm shop", "shop"),
    ("network prune", "%container network prune -f", ""),
    ("volume rm", "%container volume rm data", "data"),
    ("volume prune", "%container volume prune -af", "Total"),
    ("image prune", "%container image prune -f", "Total"),
    ("system df", "%container system df", "RECLAIMABLE"),
    ("system check", "%container system check", "Checked"),
    ("system prune", "%container system prune -f", "Total"),
    ("store share", "%container store share --store shelf busybox", "busybox"),
    ("context create", "%container context create lab --kubernetes namespace=lab", "lab"),
    ("context update", "%container context update lab --description Ours", "lab"),
    ("context use", "%container context use default", "default"),
    ("context ls", "%container context ls", "ENDPOINT"),
    ("context show", "%container context show", "default"),
    ("context inspect", "%container context inspect lab", "Endpoints"),
    ("context rm", "%container context rm lab", "lab"),
    ("store ls", "%container store ls", "LAYERS"),
    ("store unshare", "%container store unshare --store shelf busybox", "Untagged"),
    ("store map", "%container store map nobody-here", "! nobody-here"),
    ("store unmap", "%container store unmap nobody-here", "! nobody-here"),
    # These succeed in their own tests, with an image that has Python.
    ("kernel install", "%container kernel install busybox", "! busybox has no Python"),
    ("kernel rm", "%container kernel rm nothing-here", "! nothing-here"),
    (
        "session start",
        "%container session start --language python busybox",
        "! has no python3 or python",
    ),
    ("session ls", "%container session ls", "NAME"),
    ("session restart", "%container session restart nothing-here", "! no session nothing-here"),
    ("session stop", "%container session stop nothing-here", "! no session nothing-here"),
    ("session rm", "%container session rm -f nothing-here", "! no session nothing-here"),
    ("session logs", "%container session logs nothing-here", "! no session nothing-here"),
    ("mcp", "%container mcp", "! an assistant starts this command"),
    ("magics enable", "%container magics enable", "Every IPython kernel of this user"),
    ("magics ls", "%container magics ls", "50-jupyter-containers.py"),
    ("magics disable", "%container magics disable", "Removed"),
    (
        "compose config",
        "%%container compose config\nservices: {web: {image: busybox}}",
        "image: busybox",
    ),
    ("compose version", "%container compose version", "2.40"),
    ("compose pull", "%container compose pull --policy missing", ""),
    ("compose build", "%container compose build", "one-job"),
    ("compose create", "%container compose create", "one-web-1"),
    ("compose start", "%container compose start", "Started"),
    ("compose up", "%container compose up -d --wait web", "Healthy"),
    ("compose ps", "%container compose ps", "SERVICE"),
    ("compose ls", "%container compose ls", "CONFIG FILES"),
    ("compose images", "%container compose images", "REPOSITORY"),
    ("compose top", "%container compose top web", "sleep 100"),
    ("compose stats", "%container compose stats --no-stream", "MEM USAGE"),
    ("compose port", "%container compose port web 80", "127.0.0.1:"),
    ("compose volumes", "%container compose volumes", "one_data"),
    ("compose exec", "%container compose exec -T web touch /data/new", ""),
    ("compose cp", "%container compose cp web:/etc/passwd passwd", ""),
    ("compose run", "%container compose run --rm -T web ls /data", "new"),
    ("compose scale", "%container compose scale job=2", "one-job-2"),
    ("compose logs", "%container compose logs job", "made"),
    ("compose events", "%container compose events --since 1h --until 0s", "create"),
    ("compose pause", "%container compose pause web", "Paused"),
    ("compose unpause", "%container compose unpause web", "Unpaused"),
    ("compose restart", "%container compose restart -t 0 job", "Started"),
    ("compose wait", "%container compose wait job", "exited with status code 0"),
    ("compose kill", "%container compose kill web", "Killed"),
    ("compose stop", "%container compose stop", ""),
    ("compose rm", "%container compose rm -f", "Going to remove"),
    ("compose push", "%container compose push", ""),
    ("compose watch", "%container compose watch --no-up", "! none of the selected services"),
    ("compose down", "%container compose down -v", "Removed"),
    ("system env", "%container system env", "DOCKER_HOST=unix://"),
    ("system service", "%container system service --time 20", "DOCKER_HOST=unix://"),
    ("system reset", "%container system reset --force", ""),
]
APPLICATION = """\
services:
  web:
    image: busybox
    command: sleep 100
    ports: ["80"]
    volumes: [data:/data]
    stop_grace_period: 0s
    healthcheck: {test: "true", interval: 100ms}
  job:
    build: {dockerfile_inline: "FROM busybox"}
    command: sh -c "echo made; sleep 1"
volumes: {data: }
"""
# Cells that create the objects of a verb.
BEFORE = {
    "compose version": f"import os, pathlib; os.environ['COMPOSE_PROJECT_NAME'] = 'one'\n"
    f"pathlib.Path('compose.yaml').write_text({APPLICATION!r})",
    "builder debug": "%%dockerfile\nFROM busybox\nRUN echo done > /half; false",
    "attach": "%container run -d --name talker --network none busybox sh -c 'sleep 2; echo heard'",
    "push": "%container tag busybox localhost:{registry}/one:1",
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookClient]:
    # A separate store, since the prunes remove everything.
    folder = tmp_path_factory.mktemp("verbs")
    place = Place.under(folder)
    config = folder / "docker"
    config.mkdir()
    (folder / "kernel").mkdir()
    own = {
        "DOCKER_CONFIG": str(config),
        "IPYTHONDIR": str(folder / "ipython"),
        "XDG_CONFIG_HOME": str(folder / "configuration"),
    }
    with kernel(place, folder / "kernel", **own) as client:
        run_cell(client, "%load_ext jupyter_containers")
        yield client
    with place.engine() as engine:
        demolish(engine)


def test_every_verb_is_told_of() -> None:
    assert [name for name, _, _ in STORY if name not in {verb.name for verb in VERBS}] == []
    assert [verb.name for verb in VERBS if verb.name not in {name for name, _, _ in STORY}] == []


def test_the_story_of_all_verbs(client: NotebookClient) -> None:
    registry = free_port()
    names = {
        "port": str(free_port()),
        "registry": str(registry),
        "list": f"localhost:{registry}/many:1",
        "one": f"localhost:{registry}/one:1",
    }

    def filled(source: str) -> str:
        for name, value in names.items():
            source = source.replace(f"{{{name}}}", value)
        return source

    wrong = []
    for verb, source, word in STORY:
        if verb in BEFORE:
            run_cell(client, filled(BEFORE[verb]))
        outputs = run_cell(client, filled(source))
        wrong += [f"{verb}: {problem}" for problem in problems(outputs, word)]
    assert not wrong, "\n".join(wrong)


def problems(outputs: list[Any], word: str) -> list[str]:
    """Return the problems of a cell's outputs, which should contain ``word``."""
    if word.startswith("!"):
        shown = outputs[-1].get("evalue", "")
        return [] if word[1:].strip() in shown else [f"does not fail with {word[1:]!r}: {shown!r}"]
    found = [output.evalue for output in outputs if output.output_type == "error"]
    if not re.search(word, text_of(outputs)):
        found.append(f"{word!r} is not in {text_of(outputs)!r}")
    for output in outputs:
        data = output.get("data", {})
        if output.output_type != "stream" and not {"text/plain", "text/html"} <= set(data):
            found.append(f"shows only {[*data]}: {data.get('text/plain')!r}")
    return found


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_help_of_a_verb_stands_in_the_cell(client: NotebookClient, verb: Verb) -> None:
    [output] = run_cell(client, f"%container {verb.name} --help")
    usage, _, meaning, *_ = output.data["text/plain"].splitlines()
    assert usage.startswith(f"Usage:  %container {verb.name}")
    assert usage.endswith(verb.operands[-1].spelling if verb.operands else "")
    assert meaning == verb.help
    assert "<pre" in output.data["text/html"]


@pytest.mark.parametrize("group", GROUPS)
def test_help_of_a_group_stands_in_the_cell(client: NotebookClient, group: str) -> None:
    [output] = run_cell(client, f"%container {group} --help")
    assert output.data["text/plain"].startswith(f"Usage:  %container {group} COMMAND")
