"""The hop to the upstream: our own HTTP/1.1 client, what a request carries there, and what comes back."""
