"""The services of an engine whose containers run in a Kubernetes cluster.

Vocabulary: a *context* names a namespace (:mod:`jupyter_containers.contexts`).  A container is a
*pod* with one container of Kubernetes, ``main``; volumes are PersistentVolumeClaims, networks are
Services.  Labels of every object name its *owner*, so that several users can share a namespace:
each sees their own.  The whole request is kept as an annotation of the pod, so that ``inspect``,
``ps``, ``start``, ``restart`` and ``rename`` answer as on this machine.

Lifecycle: ``create`` writes a *stored container*, a ConfigMap with the request; ``start`` makes a
pod from it.  A pod that has ended stays, with its log, until ``rm``.  A pod that had to be deleted
to be killed becomes a stored container with its exit code and the end of its log.  Starting an
ended container replaces its pod; the ID stays the same.

Images and builds are local: :mod:`.engine` combines the services of the cluster with those of an
engine on this machine, which is opened on first use.  Works with Kubernetes 1.20 and later, with
the rights of the role in ``docs/install/kubernetes-role.yaml``.
"""
