"""Values of the tenancy domain: tenants, organizations, plans, credentials. No I/O, no imports from the machine."""
