"""Containers: from options to a running process, and back to nothing."""
