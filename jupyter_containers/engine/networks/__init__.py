"""Networks: documents, connections and host names."""
