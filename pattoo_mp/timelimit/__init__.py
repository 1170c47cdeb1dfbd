"""Questions that may hang, asked with a time limit."""
