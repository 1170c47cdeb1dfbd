"""A hub's collector: asks many spokes, and checks what they answer before it is believed."""
