"""The store as a whole: prune, disk usage, fsck, doctor, reset."""
