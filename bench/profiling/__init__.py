"""Where each microsecond of a hot request goes: docs/profile.md tells how to read it."""
