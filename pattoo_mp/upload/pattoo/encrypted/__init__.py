"""Posts that only the server can read: GnuPG, as pattoo's agents use it (PattooShared, `encrypt.py`)."""
