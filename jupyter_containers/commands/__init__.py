"""The commands, shared by the notebook's magics and the terminal: grammar, verbs, renderings.

A *verb* is one command (``run``, ``network create``).  Words are parsed by :mod:`.parser`,
according to the declarations in :mod:`.grammar`, into :class:`.words.Parsed`; a function in
:mod:`.verbs` returns a Python value, which renders itself (:mod:`.render`).  Nothing in this
package prints.
"""
