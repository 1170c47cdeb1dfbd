"""What knows how polls are fetched: HTTP, the pages of the newest poll, and the places of hubs."""
