"""Sets up a host for an installed agent, and removes it again: `pattoo_mp_setup`."""
