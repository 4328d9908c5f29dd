"""The operator API: the life of tenants, for whoever runs the platform. docs/operator-api.md describes each call."""
