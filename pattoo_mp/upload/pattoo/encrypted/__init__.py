"""Encrypted mode: posts that only the server can read (GnuPG, as PattooShared's `encrypt.py`)."""
