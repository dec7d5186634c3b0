"""Renderings of results: text in Docker's columns, static HTML, Go templates, progress.

A rendering never changes its value; text/plain and HTML are both complete, so that a saved notebook
is readable without a kernel.
"""
