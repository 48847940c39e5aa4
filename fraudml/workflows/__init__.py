"""One file a command; each reads as its paragraph, and every decision is made below."""
