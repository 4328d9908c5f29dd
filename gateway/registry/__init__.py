"""Records of tenants and organizations: how they are stored, found and changed."""
