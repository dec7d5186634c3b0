"""Editing assistance for Compose files: findings, completion, descriptions of keys.

The text is unfinished most of the time, so it need not be valid YAML.
"""
