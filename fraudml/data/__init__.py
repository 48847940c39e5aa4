"""Tables: what their columns mean, how they are read, simulated, checked and audited."""
