"""A simulated fleet of agents on one server."""
