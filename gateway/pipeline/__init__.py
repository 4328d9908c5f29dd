"""What a policy sees and says: requests, claims, principals, calls, demands. Values and protocols only; no I/O."""
