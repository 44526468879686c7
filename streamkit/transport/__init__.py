"""Request -> bytes. The only folder that imports requests or urllib3."""
