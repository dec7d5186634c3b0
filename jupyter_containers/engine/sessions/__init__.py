"""Sessions: containers whose process runs piece after piece of code and keeps its state."""
