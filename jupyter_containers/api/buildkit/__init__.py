"""BuildKit's protocol over the API's socket: buildx, Compose and ``docker build``.

A client opens a *session* (``POST /session``): the connection is reversed, so that the service asks
and the client answers (:mod:`.sessions`): files of contexts (:mod:`.receiving`), secrets, agents,
credentials, and places for results (:mod:`.sending`).  A *solve* is one build.  It comes by gRPC
(``POST /grpc``, :mod:`.control`) or, from older clients, by ``POST /build`` with ``version=2``
(:mod:`.classic`), and names its session.  :mod:`.solve` makes the engine's options of a solve's
attributes and runs the builder; :mod:`.status` shows its events as *vertices*.

gRPC is HTTP/2 (:mod:`.connection`, with the library h2) with messages of Protocol Buffers
(:mod:`.wire`, :mod:`.messages`).  Without h2 clients fall back to the classic builder.
"""
