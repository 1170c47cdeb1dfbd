"""Puts onto a host what an installed agent needs there, and takes it away: `pattoo_mp-setup`."""
