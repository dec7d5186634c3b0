"""Places that store images: the store, a registry, an image layout, an archive."""
