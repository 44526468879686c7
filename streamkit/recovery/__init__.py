"""When to try again, and how to carry on: pure policies, no I/O, no sleep, no clock."""

from streamkit.recovery.retry import RetryConfig, RetryPolicy, retry_after

__all__ = ["RetryConfig", "RetryPolicy", "retry_after"]
