"""Build, run, push and pull containers from notebook cells, with no Docker daemon."""

__version__ = "0.1.0"
