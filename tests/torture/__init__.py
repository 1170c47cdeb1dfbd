"""A long run of the real agent under random faults, and the proof that its account is right."""
