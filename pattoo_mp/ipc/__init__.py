"""The messages between the processes, and the queue of polls between them."""
