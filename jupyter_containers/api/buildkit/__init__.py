"""BuildKit's protocol over the API's socket: buildx, Compose and ``docker build``.

A client opens a *session* (``POST /session``), a reversed connection: the service sends requests
and the client answers (:mod:`.sessions`) with files of contexts (:mod:`.receiving`), secrets,
agents, credentials, and destinations of results (:mod:`.sending`).  A *solve* is one build,
requested by gRPC (``POST /grpc``, :mod:`.control`) or, from older clients, by ``POST /build`` with
``version=2`` (:mod:`.classic`), and names its session.  :mod:`.solve` translates a solve's
attributes into the engine's options and runs the builder; :mod:`.status` shows its events as
*vertices*.

gRPC is HTTP/2 (:mod:`.connection`, with the library h2) with messages of Protocol Buffers
(:mod:`.wire`, :mod:`.messages`).  Without h2 clients fall back to the classic builder.
"""
