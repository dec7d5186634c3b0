"""The kernel's side of JupyterLab's panel "Containers": one engine, told over a comm.

Vocabulary: a *page* is a browser that shows the panel; its *connection* is one comm to this kernel.
A page *calls* and gets one answer or failure for each call; the kernel *tells* what changed.
A *view* is a widget (log, terminal, layers) that the page shows in its main area; its messages
travel on the same connection under the number of a *channel*.

Life of a connection: opened by the page with the versions that it speaks → ``welcome`` or
``refused`` → all items, then what changes → closed by the page, by ``%unload_ext``, by a
change of the configuration, or with the kernel.

No handler blocks: calls are carried out in threads, so the panel is live while a cell runs.  The
messages are in :mod:`~jupyter_containers.panel.messages`; their TypeScript is made from there.
Importing this package imports nothing.
"""
