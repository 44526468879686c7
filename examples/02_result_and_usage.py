"""
Ask for the whole story once the text is there.

Look at: `result()` after the loop sends nothing again; it knows why the answer ended, what it cost
in tokens and how long it took. Without a loop it would read the answer by itself.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import os

from streamkit import stream
from streamkit.testing import LocalProvider, Text, Usage

ANSWER = (Text("Paris, on the Seine.", every=0.05), Usage(input=14, output=6))


def main(model: str, base_url: str | None = None) -> None:
    answer = stream(model, "What is the capital of France?", base_url=base_url)
    for text in answer:
        print(text, end="", flush=True)
    print("\n")

    result = answer.result()
    metrics = answer.metrics
    print("outcome      ", result.outcome)
    print("finish reason", result.finish_reason, "(the provider's own word)")
    print("tokens       ", result.usage.input_tokens, "in,", result.usage.output_tokens, "out")
    print("first text   ", f"{metrics.time_to_first_chunk:.3f} s after the question")
    print("whole answer ", f"{metrics.duration_ms / 1000:.3f} s, {metrics.chunks_received} chunks")


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider(ANSWER) as server:
            main("demo", base_url=server.base_url())
