"""Applications of several containers: what Compose files describe, brought up and taken down.

A plan is a value: :mod:`.planning` compares a project with what exists (:mod:`.observed`) and
returns the steps (:mod:`.steps`) with what they wait for; :mod:`.execution` carries them out with
the engine's services.  A project is known by the labels of its containers, networks and volumes,
which are Docker Compose's (:mod:`.labels`), so both see the same projects.
"""
