"""The panel of a user without root, whose engine works in another process."""

from __future__ import annotations

from tests.integration.account import Account
from tests.integration.test_rootless import account as account
from tests.integration.test_rootless import pytestmark as pytestmark

_SCRIPT = """
import threading, time
from jupyter_containers import Engine
from jupyter_containers.panel.connection import Connection
from jupyter_containers.panel.messages import VERSION

class Comm:
    def __init__(self):
        self.told = []
    def send(self, data=None, metadata=None, buffers=None):
        self.told.append(data)
    def on_msg(self, callback):
        self.receive = callback
    def on_close(self, callback):
        pass
    def close(self):
        pass
    def wait(self, found):
        for _ in range(400):
            for data in list(self.told):
                if found(data):
                    return data
            time.sleep(0.05)
        raise SystemExit(f"not told: {self.told}")
    def call(self, number, **call):
        request = {"kind": "request", "id": number, "call": call}
        self.receive({"content": {"data": request}, "buffers": []})
        return self.wait(lambda data: data.get("id") == number and data["kind"] != "progress")

def has(section, name):
    return lambda data: data["kind"] == "changes" and data["section"] == section and any(
        name in str(item) for item in data["put"])

with Engine() as e:
    comm = Comm()
    connection = Connection(comm, lambda: e)
    connection.begin({"versions": [VERSION]})
    comm.wait(has("images", "busybox"))
    comm.call(1, do="watch", visible=True)
    e.build({}, dockerfile="FROM busybox\\nRUN echo one > /one", tag="made:1", network="none")
    build = comm.wait(has("builds", "made:1"))["put"][0]["id"]
    print([step["outcome"] for step in comm.call(2, do="build_steps", build=build)["value"]])
    comm.call(3, do="command", line="run -d --name beside --network none made:1 sleep 100")
    comm.wait(has("containers", "beside"))
    print(comm.wait(lambda data: data["kind"] == "used" and data["usage"])["usage"][0]["cpu"] >= 0)
    files = comm.call(4, do="files", container="beside", path="/")["value"]
    print("one" in [entry["name"] for entry in files["entries"]])
    print(comm.call(5, do="check", text="FROM busybox\\nMAINTAINER x")["value"][0]["rule"])
    other = "FROM busybox\\nRUN echo two > /one"
    [first, second] = e.builds.forecast({}, dockerfile=other, network="none")
    print(first.cached, second.cached)
    print(comm.call(6, do="act", action="remove", id="beside")["kind"])
    connection.close()
"""


def test_it_lists_is_told_and_calls(account: Account) -> None:
    assert account.python(_SCRIPT).splitlines() == [
        "['cached', 'done']",
        "True",
        "True",
        "MaintainerDeprecated",
        "True False",
        "answer",
    ]
