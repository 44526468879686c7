"""Edges to frameworks and terminals; a framework is imported inside the function that needs it."""
