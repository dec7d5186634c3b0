"""Directory trees that others can change: containers, images, builds, other users.

Such a tree is hostile and can change at any time.  A path that was checked may name something else
when it is used, so every function here acts on *one name below a directory descriptor* and follows
no link unasked: :mod:`.at` has the operations, :mod:`.rooted` finds the descriptor. No other room
passes ``dir_fd`` to the functions of :mod:`os`.
"""
