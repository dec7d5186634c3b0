"""Registries: credentials, repositories, and registries that run on this machine."""
