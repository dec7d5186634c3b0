"""Live widgets of cell outputs: terminal, logs, dashboard, statistics, layers.

Vocabulary: a *widget* lives in the kernel; a *view* is one place of a page that shows it, there may
be several or none.  Life: made by a command → shown, its views say ``ready`` and get what they
missed → messages flow both ways, also while a cell runs → closed by its reader, by the cell (run
again, cleared, removed), by ``%unload_ext`` or with the kernel; then its threads end and it does
nothing any more.

The browser's side is TypeScript in ``labextension/``, bundled into ``static/``.  Importing this
package imports nothing; its modules load ipywidgets.
"""
