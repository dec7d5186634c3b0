"""The engine of an ordinary user: the whole engine, as root of a user namespace.

Vocabulary: the *holder* is a process that keeps a user namespace and a network namespace alive for
all of one user's engines; a process that *enters* them is root there and nowhere else.  A command
enters by itself.  A kernel has threads, and Linux lets no process with threads enter (setns(2)): it
starts a *worker* that does, and uses a :class:`RemoteEngine`, whose methods are called in the
worker.

Lifecycle: :func:`~.holder.enter` finds or starts the holder; the worker ends with its kernel, the
holder with the machine or when its user's processes are killed; containers outlive both.
"""

from jupyter_containers.rootless.remote import RemoteEngine

__all__ = ["RemoteEngine"]
