"""Rates, quotas, slots and nonces: checked and taken in the store, and settled when the answer is known."""
