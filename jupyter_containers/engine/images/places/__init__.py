"""Places that keep images: the store, a registry, an image layout, an archive."""
