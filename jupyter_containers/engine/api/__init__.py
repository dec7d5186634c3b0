"""The engine's methods by noun.

:class:`~jupyter_containers.engine.engine.Engine` is all of them in one object.
"""
