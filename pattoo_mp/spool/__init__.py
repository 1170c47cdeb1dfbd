"""Store polls on disk until the server has taken them."""
