"""
``python -m streamkit "Why do rivers meander?"``: an answer on the command line, as it comes.

The text goes to stdout, everything else to stderr. Without ``-m`` and without a key in the
environment a server inside this process answers, so that the first try needs nothing.

Keys come from the environment only: other users of the machine can read a command line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn, get_args

from typing_extensions import override

from streamkit import (
    Client,
    ConfigurationError,
    Result,
    Stream,
    StreamkitError,
    __version__,
    replay,
)
from streamkit.integrations.terminal import Screen, printable
from streamkit.pipeline.names import Mode
from streamkit.providers import BUILTIN

__all__ = ["main"]

#: What is asked when only a key says which provider: small, quick, cheap. The first key wins.
DEFAULT_MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}

FAILED = 1
USAGE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
CLOSED_PIPE = 141  # 128 + SIGPIPE: what cat or grep end with when their reader goes

EPILOG = """\
commands:
  doctor                versions, keys, proxies and connections of this machine
  replay FILE           an answer that --record kept, with its pauses and its faults
                        (to ask about such a word itself: streamkit -- doctor)

exit status: 0 answered, 1 failed, 2 wrong usage, 130 interrupted, 141 reader of the output gone
"""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    Args:
        argv: The words after the program's name; None takes those of this process.

    Returns:
        The exit status: 0 for an answer, 1 for a failure, 2 for wrong usage or configuration, 130
        after Ctrl-C, 141 when the reader of stdout or stderr has gone.

    Raises:
        SystemExit: From argparse: --help, --version, and options it cannot read (status 2).
    """
    out, err = Screen(sys.stdout), Screen(sys.stderr, always=True)
    try:
        return _run(sys.argv[1:] if argv is None else argv, out, err)
    except KeyboardInterrupt:
        return INTERRUPTED
    except StreamkitError as error:
        return _explain(error, err)
    except BrokenPipeError:
        out.abandon()
        err.abandon()
        return CLOSED_PIPE
    except OSError as error:  # a full disk under stdout, say
        out.abandon()
        err.line(f"streamkit: {error.strerror or error}")
        return FAILED


def _run(argv: Sequence[str], out: Screen, err: Screen) -> int:
    if argv and argv[0] == "doctor":
        from streamkit.doctor import examine

        _Parser(prog="streamkit doctor", description=examine.__doc__).parse_args(argv[1:])
        return examine(out)
    if argv and argv[0] == "replay":
        return _replay(argv[1:], out, err)
    parser = _parser()
    options = parser.parse_args(argv)
    prompt = _prompt(options.prompt, parser)
    with ExitStack() as stack:
        model, where = _choose(options, stack, err)
        client = stack.enter_context(Client())
        stream = client.stream(
            model, prompt, mode=options.mode, system=options.system, record=options.record, **where
        )
        with stream:
            return _show(stream, options, out, err)


def _replay(argv: Sequence[str], out: Screen, err: Screen) -> int:
    """Play a recording: to stdout as the answer came, its ending and the exit status too."""
    parser = _Parser(prog="streamkit replay", description=_replay.__doc__)
    parser.add_argument("file", metavar="FILE", help="what --record, or record=, made")
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="N",
        help="how many times faster than it was; 0 never waits",
    )  # fmt: skip
    _add_shape(parser)
    options = parser.parse_args(argv)
    with replay(options.file, speed=options.speed, mode=options.mode) as stream:
        return _show(stream, options, out, err)


class _Parser(argparse.ArgumentParser):
    @override
    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="streamkit",
        description="Stream the answer of a language model to stdout.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("prompt", nargs="?", help="what to ask; '-', or nothing with a pipe, reads stdin")
    add("-m", "--model", metavar="PROVIDER/MODEL", help="such as openai/gpt-4o-mini")
    add("--system", metavar="TEXT", help="instructions that stand above the prompt")
    add("--base-url", metavar="URL", help="another address that speaks the provider's API")
    add("--allow-http", action="store_true", help="plain http to another machine, in the clear")
    add("--record", metavar="FILE", help="keep what the service sends in a new file, for replay")
    _add_shape(parser)
    add("--version", action="version", version=f"streamkit {__version__}")
    return parser


def _add_shape(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--mode", choices=get_args(Mode), default="buffered", help="default: %(default)s")
    add("--json", action="store_true", help="one JSON object per line: chunks, then the result")
    add("--stats", action="store_true", help="at the end, times and token counts on stderr")


def _prompt(given: str | None, parser: argparse.ArgumentParser) -> str:
    if given not in (None, "-"):
        return str(given)
    if sys.stdin is None or (given is None and sys.stdin.isatty()):
        parser.error("give a prompt, or pipe one in")
    # utf-8-sig: PowerShell puts a byte order mark before what it pipes.
    return sys.stdin.buffer.read().decode("utf-8-sig", "replace").rstrip()


def _choose(
    options: argparse.Namespace, stack: ExitStack, err: Screen
) -> tuple[str, dict[str, Any]]:
    """The model to ask, and where; stderr says what was chosen for the user."""
    if options.model is not None:
        return options.model, {"base_url": options.base_url, "allow_http": options.allow_http}
    if options.base_url is not None:
        raise ConfigurationError("--base-url needs a model: add -m MODEL")
    for provider, name in DEFAULT_MODELS.items():
        service = BUILTIN[provider]
        for variable in service.key_env + service.bearer_env:
            if os.environ.get(variable):
                model = f"{provider}/{name}"
                err.line(f"streamkit: {variable} is set, asking {model} (-m chooses another)")
                return model, {}
    from streamkit.doctor import proxies_bypassed
    from streamkit.testing import LocalProvider

    stack.enter_context(proxies_bypassed())
    server = stack.enter_context(LocalProvider())
    keys = " or ".join(BUILTIN[provider].key_env[0] for provider in DEFAULT_MODELS)
    err.line(
        f"streamkit: no API key is set: a demo server in this process answers, over real HTTP "
        f"({server.url}); to ask a model, set {keys}, or use -m"
    )
    return "demo", {"base_url": server.base_url()}


def _show(stream: Stream, options: argparse.Namespace, out: Screen, err: Screen) -> int:
    """Print the answer, then how it ended; the exit status."""
    error: StreamkitError | None = None
    status = 0
    try:
        if options.json:
            for chunk in stream.chunks():
                out.write(_json(chunk))
        else:
            for text in stream:
                out.write(text)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except StreamkitError as caught:
        error = caught
    result = stream.partial
    if options.json:
        out.write(_json({"kind": "result", **_plain(result), "error": error}))
    out.end_line()
    if error is not None:
        status = _explain(error, err)
    elif result.outcome not in ("completed", "cancelled"):
        err.line(f"streamkit: the answer ended with {_ending(result)}. {result.refusal}")
    if options.stats:
        _show_stats(result, err)
    return status


def _explain(error: StreamkitError, err: Screen) -> int:
    known = error.request_id is None or error.request_id in str(error)
    trace = "" if known else f" (request id {error.request_id})"
    err.line(f"streamkit: {type(error).__name__}: {error}{trace}")
    return USAGE if isinstance(error, ConfigurationError) else FAILED


def _show_stats(result: Result, err: Screen) -> None:
    numbers = result.metrics
    assert numbers is not None  # a stream's own results always have them
    first = numbers.time_to_first_chunk
    wait = "no content came" if first is None else f"first content after {first:.3f} s"
    rate = f" at {numbers.chunks_per_second:.1f}/s" if numbers.chunks_per_second else ""
    names = [field.name for field in fields(result.usage) if field.name.endswith("_tokens")]
    counts = [
        f"{count} {name.removesuffix('_tokens').replace('_', ' ')}"
        for name in names
        if (count := getattr(result.usage, name)) is not None
    ]
    err.line(
        f"streamkit: {_ending(result)} in {numbers.duration_ms / 1000:.3f} s; {wait}; "
        f"{numbers.chunks_received} chunks{rate}, {numbers.bytes_received} bytes"
    )
    tokens = ", ".join(counts) or "not reported"
    err.line(f"streamkit: tokens: {tokens}; retries: {numbers.retries}")


def _ending(result: Result) -> str:
    reason = f" (finish reason {result.finish_reason!r})" if result.finish_reason else ""
    return f"{result.outcome}{reason}"


def _json(value: object) -> str:
    # ASCII only: safe in any encoding and any terminal, and it keeps what UTF-8 cannot carry.
    return json.dumps(value, default=_plain) + "\n"


def _plain(value: object) -> Any:
    """What json cannot write: our dataclasses and errors; the rest as text."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, BaseException):
        return {"type": type(value).__name__, "message": str(value)}
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
