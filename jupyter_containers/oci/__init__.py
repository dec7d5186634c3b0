"""The words of the OCI specifications as pure values; nothing here does I/O."""
