"""Containers: from options to a running process, and its removal."""
