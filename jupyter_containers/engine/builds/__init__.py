"""Builds: the builder on top of the store."""
