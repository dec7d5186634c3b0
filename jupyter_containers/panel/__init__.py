"""The kernel's side of JupyterLab's panel "Containers": the state of one engine, over a comm.

Vocabulary: a *page* is a browser that shows the panel; its *connection* is one comm to this kernel.
A page sends *calls* and gets one answer or failure for each; the kernel sends *changes*.
A *view* is a widget (log, terminal, layers) that the page shows in its main area; its messages
use the same connection with the number of a *channel*.

Lifecycle of a connection: opened by the page with its protocol versions → ``welcome`` or
``refused`` → all items, then changes → closed by the page, by ``%unload_ext``, by a change of the
configuration, or with the kernel.

No handler blocks: calls run in threads, so that the panel is live while a cell runs.  The messages
are in :mod:`~jupyter_containers.panel.messages`, from which their TypeScript is generated.
Importing this package imports no other module.
"""
