"""When to try again, and how to carry on: pure policies, no I/O, no sleep, no clock."""

from streamkit.recovery.recovery import RecoveryConfig
from streamkit.recovery.retry import RetryConfig, RetryPolicy, retry_after

__all__ = ["RecoveryConfig", "RetryConfig", "RetryPolicy", "retry_after"]
