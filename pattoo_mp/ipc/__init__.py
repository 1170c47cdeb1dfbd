"""What the processes say to each other, and the queue between them."""
