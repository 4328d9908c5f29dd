"""Webhooks: what happens to tenants is told to those who want to know, in order, again where it fails."""
