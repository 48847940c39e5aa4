"""What people look at: plots of numbers that were computed elsewhere."""
