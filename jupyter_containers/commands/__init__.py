"""What people type, shared by the notebook's magics and the terminal: grammar, verbs, renderings.

A *verb* is one command (``run``, ``network create``).  Its life: words → :mod:`.parser` (on the one
declaration in :mod:`.grammar`) → :class:`.words.Parsed` → a function in :mod:`.verbs` → a Python
value that knows how to show itself (:mod:`.render`).  Nothing in here prints.
"""
