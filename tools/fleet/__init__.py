"""A fleet of simulated agents on one server: what a site's agents do to it, together."""
