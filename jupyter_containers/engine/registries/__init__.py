"""Registries: credentials, what they hold, and registries that run on this machine."""
