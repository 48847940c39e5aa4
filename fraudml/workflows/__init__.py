"""The commands, one file each; every decision is made in the packages below."""
