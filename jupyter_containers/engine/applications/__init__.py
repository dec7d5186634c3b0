"""Applications of several containers, described by Compose files.

A plan is a value: :mod:`.planning` compares a project with the existing objects (:mod:`.observed`)
and returns the steps (:mod:`.steps`) with their dependencies; :mod:`.execution` executes them with
the engine's services.  A project is known by the labels of its containers, networks and volumes,
which are Docker Compose's (:mod:`.labels`), so both see the same projects.
"""
