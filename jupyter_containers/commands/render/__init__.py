"""Results made readable: text in Docker's words and columns, static HTML, Go templates, progress.

A rendering never changes the value it shows; text/plain and HTML are both complete, so that a
saved notebook reads well without a kernel.
"""
