"""Tests of what `--status` shows; the verb itself is tried in tests/integration."""
