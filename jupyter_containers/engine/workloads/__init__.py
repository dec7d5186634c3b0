"""Work of several containers: map, services, a registry."""
