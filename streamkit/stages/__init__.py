"""Chunks -> chunks, push style (feed, flush). Pure."""
