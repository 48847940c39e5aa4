"""Workflows: glue that reads like a paragraph; every decision is made in a room of its own."""
