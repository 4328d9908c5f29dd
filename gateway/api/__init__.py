"""The gateway's own HTTP interfaces: operator API, admin listener, and what routes mount as `builtin`."""
