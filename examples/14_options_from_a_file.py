"""
Keep the options of a stream in a configuration file.

Look at: the file says how the stream is delivered, the code does not change. A key or value that
cannot be right is an error that names it, and what you may have meant, before anything is sent.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import json
import os

from streamkit import ConfigurationError, StreamOptions, stream
from streamkit.testing import LocalProvider, Text

ANSWER = Text("Some numbers: " + " ".join(str(number) for number in range(40)))

FILE = """{
    "consumer_type": "managed",
    "buffer_config": {"capacity": 100, "overflow_strategy": "block"},
    "batch_config": {"size": 5, "timeout_ms": 25, "min_size": 3, "max_size": 10},
    "flow_control": {"enabled": true, "slow_threshold_ms": 50, "backpressure_threshold": 0.8},
    "metrics": {"enabled": true, "interval_ms": 1000}
}"""


def main(model: str, base_url: str | None = None) -> None:
    options = StreamOptions.from_mapping(json.loads(FILE))
    answer = stream(model, "Give me some numbers.", options=options, base_url=base_url)
    for batch in answer.batches():
        print(f"{len(batch):2} chunks, because of {batch.trigger}")

    try:
        StreamOptions.from_mapping({"buffer_config": {"capacty": 100}})
    except ConfigurationError as error:
        print("\nA slip of the pen:", error)


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider([ANSWER]) as server:
            main("demo", base_url=server.base_url())
