"""The store: connections, deadlines, scripts, the names of all keys, and the embedded server."""
