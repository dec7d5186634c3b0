"""Images: names, layers, and their transfer into and out of the store."""
