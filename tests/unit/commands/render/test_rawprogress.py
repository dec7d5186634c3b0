from __future__ import annotations

import base64
import io
import json

from jupyter_containers.commands.render.rawprogress import RawProgress
from jupyter_containers.events import TaskFinished, TaskOutput, TaskProgress, TaskStarted


def test_the_lines_have_buildkits_schema() -> None:
    stream = io.StringIO()
    with RawProgress(stream) as sink:
        sink(TaskStarted("a", "[1/2] RUN x"))
        sink(TaskOutput("a", b"\xff", "stderr"))
        sink(TaskProgress("a", 3, 5, "extracting"))
        sink(TaskFinished("a", "failed", "exit code 1"))
    begun, log, status, ended = [json.loads(line) for line in stream.getvalue().splitlines()]
    [vertex] = begun["vertexes"]
    assert (vertex["name"], vertex["digest"][:7]) == ("[1/2] RUN x", "sha256:")
    assert vertex["started"].endswith("Z")
    [entry] = log["logs"]
    assert (entry["vertex"], entry["stream"]) == (vertex["digest"], 2)
    assert base64.b64decode(entry["data"]) == b"\xff"
    [one] = status["statuses"]
    assert (one["id"], one["current"], one["total"]) == ("extracting", 3, 5)
    [last] = ended["vertexes"]
    assert last["error"] == "exit code 1"
    assert last["started"] == vertex["started"] <= last["completed"]
