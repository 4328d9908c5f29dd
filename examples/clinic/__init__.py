"""A small real service behind the gateway: users of medical practices, a PostgreSQL schema for each tenant."""
