"""Images under the names that clients pull from Docker Hub, made of busybox.

What tests look for in Alpine is there: a user ``postgres``, ``/var/opt``, ``nslookup``.
"""

from __future__ import annotations

from jupyter_containers.engine import Engine

_ALPINE = r"""
FROM busybox
RUN mkdir -p /var/opt && echo {tag} >/etc/alpine-release \
 && for name in nslookup ps; do [ -e /bin/$name ] || ln -s busybox /bin/$name; done \
 && echo 'postgres:x:70:70::/var/lib/postgresql:/bin/sh' >>/etc/passwd \
 && echo 'postgres:x:70:' >>/etc/group
CMD ["/bin/sh"]
"""
_TEXTS = {
    "alpine:latest": _ALPINE.format(tag="latest"),
    "alpine:3.10": _ALPINE.format(tag="3.10"),
    "busybox:latest": "FROM busybox\nLABEL from=mirror\n",
    "hello-world:latest": 'FROM busybox\nCMD ["echo", "Hello from Docker!"]\n',
}


def filled(engine: Engine, host: str) -> None:
    """Push the images to a registry; only busybox is left in the store."""
    engine.images.bootstrap("busybox:latest")
    for name, text in _TEXTS.items():
        there = f"{host}/library/{name}"
        engine.build({"Dockerfile": text}, tag=[there])
        engine.images.push(there)
        engine.images.remove(there)
