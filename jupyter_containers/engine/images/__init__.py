"""Images: names, layers, and the ways in and out of the store."""
