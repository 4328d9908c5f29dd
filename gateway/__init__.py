"""tenantgate: a reverse-proxy gateway that makes existing services safe for many tenants."""
