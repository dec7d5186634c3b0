"""Volumes: folders of the store that outlive containers."""
