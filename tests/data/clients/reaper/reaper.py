"""A reaper that speaks Ryuk's protocol: filters come as lines, and what they select is removed
through Docker's socket once no client has been connected for a while."""

import http.client
import json
import os
import socket
import urllib.parse
from contextlib import suppress

SECONDS = float(os.environ.get("RYUK_RECONNECTION_TIMEOUT", "10s").removesuffix("s"))


class Docker(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")


def ask(method, path):
    connection = Docker("docker")
    connection.request(method, path)
    return connection.getresponse().read()


def reap(filters):
    for line in filters:
        labels = [value for key, value in urllib.parse.parse_qsl(line) if key == "label"]
        query = urllib.parse.quote(json.dumps({"label": labels}))
        for found in json.loads(ask("GET", f"/containers/json?all=1&filters={query}")):
            ask("DELETE", f"/containers/{found['Id']}?force=1&v=1")


listening = socket.create_server(("0.0.0.0", 8080))
listening.settimeout(60)
ask("GET", "/_ping")
print("Started!", flush=True)
filters = set()
try:
    while True:
        client, _ = listening.accept()
        listening.settimeout(SECONDS)
        with suppress(OSError), client, client.makefile("r") as lines:
            for line in lines:
                filters.add(line.strip())
                client.sendall(b"ACK\n")
except TimeoutError:
    reap(filters)
