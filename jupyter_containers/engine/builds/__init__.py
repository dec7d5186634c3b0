"""Builds: the builder at work in the store."""
