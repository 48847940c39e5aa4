"""Reports and plots of numbers that were computed elsewhere."""
