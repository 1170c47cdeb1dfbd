"""The way to the server, part by part."""
