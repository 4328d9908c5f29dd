"""The public API: what a platform does with its tenants. docs/platform-api.md describes it."""
