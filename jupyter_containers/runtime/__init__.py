"""Runs a process from a root file system and options, without a daemon.

Vocabulary: a *bundle* is a folder with ``config.json`` and the container's small files; the
*runtime* is crun or runc, started for one verb at a time; the *monitor* is conmon, which holds a
container's stdio, log and exit status so that no engine need be alive; a *private mount namespace*
holds the overlay of a container, so that the host sees none of its mounts.

Lifecycle of a container::

    host.probe → mounts.PrivateMounts(overlay) → spec.runtime_spec → monitor.create
      → (attach) → OCIRuntime.start → monitor.wait → cgroups.oom_kills → OCIRuntime.delete

A build step has no monitor: only ``OCIRuntime.run`` in the private mount namespace. Import the
modules themselves; this package file stays empty so that it costs nothing.
"""
