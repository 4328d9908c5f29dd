"""The issuers of JWTs and their keys: where the keys come from, which of them are fit for use, and how they stay fresh."""
