"""Remote write, version 1.0: what an output of this kind sends, and what the answers mean."""
