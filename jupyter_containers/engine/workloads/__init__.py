"""Workloads of several containers: map and services."""
