"""Tables: what their columns mean, how they are read, simulated and checked."""
