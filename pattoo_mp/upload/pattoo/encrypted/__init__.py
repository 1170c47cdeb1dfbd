"""Encrypted mode: posts that only the server can read, with GnuPG as in PattooShared (`encrypt.py`)."""
