"""genai-prices needs Python 3.11; on 3.10 there is nothing to test with it."""

import sys

collect_ignore = [] if sys.version_info >= (3, 11) else ["test_cost_table.py"]
