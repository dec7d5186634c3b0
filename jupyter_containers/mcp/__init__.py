"""Sessions as tools of assistants, over the Model Context Protocol (``jupyter container mcp``)."""
