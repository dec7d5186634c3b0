from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.magics.line import command_lines, words_of
from jupyter_containers.magics.shell import printed
from jupyter_containers.settings import load_settings

NAMESPACE = {"tag": "app:1", "text": "two words", "files": ["a b", "c"], "n": 3}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run img sh -c 'echo hi'", ["run", "img", "sh", "-c", "echo hi"]),
        ("run {{tag}}", ["run", "app:1"]),
        ("-e A={{text}}", ["-e", "A=two words"]),
        ('-e "A={{ text }}"', ["-e", "A=two words"]),
        ("rm {{files}}", ["rm", "a b", "c"]),
        ("x={{files}}", ["x=['a b', 'c']"]),
        ("{{n + 1}} {{'a b'.upper()}}", ["4", "A B"]),
        ("{{[f for f in files if n][1]}}", ["c"]),
        ("--format '{{.Names}} {{json .}}'", ["--format", "{{.Names}} {{json .}}"]),
        ("--format {{.Names}}", ["--format", "{{.Names}}"]),
        ("-f '{{range .A}}x{{end}}'", ["-f", "{{range .A}}x{{end}}"]),
        ("-f '{{json .n}}'", ["-f", "{{json .n}}"]),
        ("echo '$HOME' {x}", ["echo", "$HOME", "{x}"]),
        ("", []),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert words_of(line, NAMESPACE) == words


def test_an_image_stands_for_its_id() -> None:
    assert words_of("run {{image}}", {"image": SimpleNamespace(id="sha256:ab")}) == [
        "run",
        "sha256:ab",
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{{nope}}", "NameError"),
        ("echo 'x", "quot"),
        ("build {{ {'a': 1} }}", "a dict cannot be a word"),
    ],
)
def test_mistakes(line: str, text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        words_of(line, NAMESPACE)


def test_command_lines() -> None:
    cell = "# note\npull a\n\n  run \\\n    --rm a\nps \\"
    assert command_lines(cell) == ["pull a", "run  --rm a", "ps"]
    cell = "run a sh -c '\n  echo \"1\"  # no\n' b \\\n c # don't\nps \"x\ny\"\nrm it\\'s\nls '"
    assert command_lines(cell) == [
        "run a sh -c '\n  echo \"1\"  # no\n' b  c # don't",
        'ps "x\ny"',
        "rm it\\'s",
        "ls '",
    ]


FOLDER, HOME = os.getcwd(), os.path.expanduser("~")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("docker run img", ["run", "img"]),
        ("$ docker ps -a", ["ps", "-a"]),
        ("$ sudo docker container ls", ["container", "ls"]),
        ("$ run img", ["run", "img"]),
        ("%container ps", ["ps"]),
        ("jupyter container ps", ["ps"]),
        ("docker", []),
        ("docker-thing ps", ["docker-thing", "ps"]),
        ("run img docker ps", ["run", "img", "docker", "ps"]),
        ("ps -a   # all of them", ["ps", "-a"]),
        ("build git#main '# no' # yes", ["build", "git#main", "# no"]),
        ("images;", ["images"]),
        ("run img echo a;b 'c;' \"d && e\"", ["run", "img", "echo", "a;b", "c;", "d && e"]),
        ("run img wget http://a?b=1&c=2", ["run", "img", "wget", "http://a?b=1&c=2"]),
        ("ps --filter name=a|b", ["ps", "--filter", "name=a|b"]),
        ("run -v $(pwd):/a img", ["run", "-v", f"{FOLDER}:/a", "img"]),
        ('run -v "$PWD/x y":/a img', ["run", "-v", f"{FOLDER}/x y:/a", "img"]),
        (
            "run -v `pwd`:/a -v ${PWD}:/b img",
            ["run", "-v", f"{FOLDER}:/a", "-v", f"{FOLDER}:/b", "img"],
        ),
        (
            '--mount type=bind,src="$(pwd)"/x,dst=/a',
            ["--mount", f"type=bind,src={FOLDER}/x,dst=/a"],
        ),
        (
            "sh -c 'cd $PWD' \"echo $PWD $(hostname)\"",
            ["sh", "-c", "cd $PWD", "echo $PWD $(hostname)"],
        ),
        ("run -v $HOME/a:/a img", ["run", "-v", f"{HOME}/a:/a", "img"]),
        ('run -v "${HOME}/a b":/a img', ["run", "-v", f"{HOME}/a b:/a", "img"]),
        ("sh -c \"ls $HOME/x\" '$HOMES/x'", ["sh", "-c", "ls $HOME/x", "$HOMES/x"]),
        ("echo '$PWDX' \\$PWD", ["echo", "$PWDX", "$PWD"]),
        ("-e X=$HOME y${HOME}z", ["-e", f"X={HOME}", f"y{HOME}z"]),
        ("echo $1 $? $$ ${X:-y} a$", ["echo", "$1", "$?", "$$", "${X:-y}", "a$"]),
        ("save app:1 > app.tar", ["save", "app:1", "-o", "app.tar"]),
        ("docker export web >web.tar", ["export", "web", "-o", "web.tar"]),
        ("load < app.tar", ["load", "-i", "app.tar"]),
        ("rm -f $(docker ps -aq)", ["rm", "-f", "docker", "ps", "-aq"]),
        ("run -u $(id -u):`id -g` img", ["run", "-u", "id", "-u:id", "-g", "img"]),
        ("rm $(echo {{n}} $(pwd))", ["rm", "echo", "3", "$(pwd)"]),
    ],
)
def test_what_was_written_for_a_shell(line: str, words: list[str]) -> None:
    # "answer" prints the command itself.
    assert words_of(line, NAMESPACE, lambda command: command) == words


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("ps | grep web", "x = %container"),
        ("run img true || ps", "one per line"),
        ("run img true && docker ps", "one per line"),
        ("run -d img; docker ps", "one per line"),
        ("run img ; ps", "one per line"),
        ("run img server &", "run -d"),
        ("run img ls > files", "keeps a result"),
        ("run img ls >files", "keeps a result"),
        ("run img ls 2>&1", "keeps a result"),
        ("save img >", "keeps a result"),
        ("save img >> a.tar", "keeps a result"),
        ("run -i img cat < file", "run -i"),
        ("build -t x <<EOF", "run -i"),
        ("rm $(docker ps", "close it"),
        ("rmi <image-id>", "without < and >"),
        ("push <your-username>/app:1", "without < and >"),
        ("run -e X=$NO_SUCH_NAME img", "single quotes"),
        ("rm `docker ps", "close it"),
    ],
)
def test_what_only_a_shell_can_do(line: str, hint: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        words_of(line, NAMESPACE, lambda command: command)
    assert hint in (caught.value.hint or "")


def test_without_somebody_to_ask_nothing_is_run() -> None:
    with pytest.raises(InvalidArgumentError, match=r"\$\(docker ps\) needs a shell"):
        words_of("rm $(docker ps)", NAMESPACE)


def test_what_a_shell_prints_is_asked_of_one(tmp_path: Path) -> None:
    settings = load_settings({}, {"root": tmp_path / "root", "run_root": tmp_path / "run"})
    assert printed("echo a b | tr a-z A-Z", settings) == "A B\n"
    assert printed("docker version --format '{{.Client.Os}}'", settings) == "linux\n"
    with pytest.raises(InvalidArgumentError, match=r"\$\(ls /nosuch\): .*No such file"):
        printed("ls /nosuch", settings)
    with pytest.raises(InvalidArgumentError, match="exit code 3"):
        printed("exit 3", settings)
