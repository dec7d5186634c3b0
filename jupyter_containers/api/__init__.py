"""The Docker Engine API on a unix socket: a front end for the tools that speak to Docker.

A *service* (:mod:`.server`) listens on a socket that only its user can open.  Tornado reads
requests (:mod:`.connection`); each runs as a *call* in a thread (:mod:`.call`), in which a handler
of one noun (:mod:`.containers` …) calls the engine and answers.  :mod:`.routes` lists them all.
A call may take the connection over (*hijack*, :mod:`.streams`).

Containers do not depend on the service: they keep running when it ends.
"""
