"""Sessions: containers with a process that runs cells and keeps their variables."""
