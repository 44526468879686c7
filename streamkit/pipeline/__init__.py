"""The threads, and the handle the user holds."""
