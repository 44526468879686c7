"""
The fault matrix: a row per kind of fault, what the user gets, and the tests that show it.

The table in the README is ``table()``. Rows and numbers are those of PROMISES.md section 2. What a
fault of LocalProvider does exactly stands in fault_cases.py.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HEADING", "ROWS", "Row", "table"]

HEADING = "## When things go wrong"

_SCRIPTS = "tests/faults/test_cases.py"
_FAULTS = "tests/transport/test_faults.py"
_CLOCKS = "tests/transport/test_clocks.py"
_TLS = "tests/transport/test_tls_and_proxy.py"
_SECRETS = "tests/transport/test_secrets.py"
_POOL = "tests/transport/test_pool.py"
_HOOKS = "tests/pipeline/test_hooks.py"
_STREAM = "tests/pipeline/test_stream.py"
_ATTEMPTS = "tests/pipeline/test_attempts.py"
_RECOVERY = "tests/pipeline/test_recovery.py"
_RETRY = "tests/recovery/test_retry.py"
_STORES = "tests/faults/test_stores.py"
_FAILURE = "tests/providers/test_failure.py"
_LEAVING = "tests/process/test_leaving.py"
_SIGNALS = "tests/process/test_signals.py"


@dataclass(frozen=True)
class Row:
    """
    One line of the table.

    Args:
        number: The row of PROMISES.md section 2.
        wrong: What goes wrong.
        gives: What the user gets.
        again: Whether it is tried again before any content; "-" where there is nothing to try.
        faults: Entries of FAULTS that are this.
        tests: Beside the one over all FAULTS.
    """

    number: int
    wrong: str
    gives: str
    again: str = "-"
    faults: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


ROWS: tuple[Row, ...] = (
    Row(1, "the host name is not known", "`ConnectError`, `kind` `dns`, names the host", "yes",
        tests=(f"{_FAULTS}::test_a_name_nobody_knows",)),
    Row(2, "the connection is refused", "`ConnectError`, `kind` `refused`", "yes",
        tests=(f"{_FAULTS}::test_refused",)),
    Row(3, "nobody takes the connection", "`StreamTimeout`, `clock` `connect`", "yes",
        tests=(f"{_CLOCKS}::test_connect_ends_a_connection_nobody_takes",)),
    Row(4, "the connection is closed or reset as soon as it is made", "`StreamInterrupted`", "yes",
        faults=("accept-close", "accept-rst")),
    Row(5, "the connection is made, and nothing is ever said", "`StreamTimeout`, `clock` `first`",
        "yes", faults=("accept-hang",)),
    Row(6, "the server does not speak HTTP",
        "`ProtocolError`, shows how it began, printable", "no",
        faults=("banner", "garbage-status", "half-status-line")),
    Row(7, "the certificate is not trusted, for another host or expired; no TLS at all",
        "`ConnectError`, `kind` `tls`, says how to trust a private authority", "no",
        tests=(f"{_TLS}::test_an_authority_nobody_trusts",
               f"{_TLS}::test_a_certificate_for_another_host",
               f"{_TLS}::test_a_certificate_that_has_expired",
               f"{_TLS}::test_a_plain_port",
               f"{_TLS}::test_a_handshake_cut_short_is_worth_another_try")),
    Row(8, "the address is none: no scheme, `file:`, a password in it",
        "`ConfigurationError` before anything is sent", "no",
        tests=("tests/providers/test_address.py::test_a_bad_url_is_refused_and_not_quoted",)),
    Row(9, "closed or reset before the headers", "`StreamInterrupted`", "yes",
        faults=("close-before-headers", "rst-before-headers")),
    Row(10, "silence before or after the headers", "`StreamTimeout`, `clock` `first`", "yes",
        faults=("hang-before-headers", "headers-then-hang")),
    Row(11, "headers that trickle in", "the text, or `StreamTimeout`, `clock` `total`", "no",
        faults=("slow-headers", "loris"),
        tests=(f"{_CLOCKS}::test_total_ends_whatever_never_ends",)),
    Row(12, "interim answers (100, 102, 103)", "the text",
        faults=("interim-100", "interim-102", "interim-103"),
        tests=(f"{_FAULTS}::test_interim_answers_without_end_are_refused",)),
    Row(13, "over 100 headers, or over 64 KiB of them", "`LimitExceeded`", "no",
        faults=("many-headers", "huge-header"),
        tests=(f"{_FAULTS}::test_a_head_that_is_too_long_as_a_whole",)),
    Row(14, "headers and nothing more",
        "`TruncatedStream` after a clean end, else `StreamInterrupted`", "yes",
        faults=("headers-then-fin", "empty-200")),
    Row(15, "400, 404, 413, 422, whatever the body is",
        "`InvalidRequest` with the service's own words", "no",
        tests=(f"{_FAULTS}::test_an_error_status_is_the_error_whatever_its_body",
               f"{_FAILURE}::test_the_status_decides_class_and_retry",
               f"{_ATTEMPTS}::test_a_lasting_failure_is_not_sent_again")),
    Row(16, "401 or 403, also where the service sends the key back",
        "`AuthenticationError`, the key is `[redacted]`", "no",
        tests=(f"{_SECRETS}::test_a_server_that_echoes_the_key",)),
    Row(17, "429, with any kind of `Retry-After`",
        "`RateLimited`, `retry_after`; the wait is kept up to 60 s", "yes",
        tests=(f"{_ATTEMPTS}::test_a_passing_failure_is_sent_again_with_the_same_bytes",
               f"{_RETRY}::test_the_server_s_wait_is_kept_exactly",
               f"{_ATTEMPTS}::test_a_retry_after_beyond_the_bound_fails_at_once")),
    Row(18, "a `Retry-After` that is huge, negative, past or no number",
        "as 429; never a long sleep", "yes",
        tests=(f"{_ATTEMPTS}::test_retry_after_in_any_form_is_taken_or_ignored",
               f"{_RETRY}::test_a_senseless_wait_gives_our_own_back_off")),
    Row(19, "500, 502, 503, 504, 529", "`Overloaded`", "yes",
        tests=(f"{_FAILURE}::test_the_status_decides_class_and_retry",
               f"{_ATTEMPTS}::test_retries_end_after_max_retries")),
    Row(20, "escape sequences in an error message", "the message, with these written out",
        tests=(f"{_FAILURE}::test_control_and_bidi_characters_are_shown_escaped",)),
    Row(21, "an error body that hangs, never ends, lies or is compressed",
        "the error of the status (`Overloaded` for 5xx); 64 KiB and 2 s of the body are read",
        "yes",
        faults=("error-body-hang", "error-body-endless", "error-length-lie", "error-gzip")),
    Row(22, "a redirect", "`TransportError`, names the host; it is not followed", "no",
        faults=("redirect", "redirect-bomb"),
        tests=(f"{_FAULTS}::test_no_redirect_is_followed",)),
    Row(23, "an error under status 200, or as the first event",
        "`ProviderError` or what it says it is (`Overloaded`, ...)", "if it may pass",
        faults=("error-200-json", "error-first"),
        tests=(f"{_ATTEMPTS}::test_an_error_event_first_is_sent_again_if_it_is_transient",)),
    Row(24, "HTML under status 200; a content encoding nobody knows",
        "`ProtocolError` with the first 200 bytes", "no",
        faults=("html-200", "unknown-encoding")),
    Row(25, "the whole answer as one JSON body", "the text", faults=("json-200",)),
    Row(26, "a wrong content type or charset, or none", "the text",
        faults=("wrong-content-type", "no-content-type", "latin1-label")),
    Row(27, "an error in the middle of the answer, even with `[DONE]` behind it",
        "`ProviderError` or what it says it is (`Overloaded`, ...), after the text", "no",
        faults=("error-mid", "error-then-done")),
    Row(28, "the connection is reset in the middle", "`StreamInterrupted`, after the text", "no",
        faults=("rst-after", "rst-mid-event")),
    Row(29, "it is closed in the middle of the HTTP framing",
        "`StreamInterrupted`, after the text", "no",
        faults=("truncated-chunked", "truncated-in-chunk", "cut-length")),
    Row(30, "it ends cleanly without a finish reason", "`TruncatedStream`, after the text", "no",
        faults=("fin-after", "no-finish")),
    Row(31, "it ends inside an event or a character", "`TruncatedStream`, after the text", "no",
        faults=("cut-json", "cut-utf8")),
    Row(32, "a chunk size that is none; two lengths that differ",
        "`ProtocolError`, after the text; the text, where HTTP says which length counts", "no",
        faults=("bad-chunk-size", "te-and-cl", "dup-cl"),
        tests=(f"{_FAULTS}::test_a_chunk_size_that_is_none",)),
    Row(33, "no `[DONE]`, no finish reason before it, no last blank line", "the text, complete",
        faults=("no-done", "done-no-finish", "no-final-blank", "done-nospace")),
    Row(34, "the connection stays open after the end", "the text, complete, within a second",
        faults=("done-then-hang", "late-close", "finish-then-hang"),
        tests=(f"{_CLOCKS}::test_after_the_terminal_event_nothing_is_waited_for",)),
    Row(35, "events after the end", "they are no part of the answer",
        faults=("data-after-done",)),
    Row(36, "an answer of nothing that says it is finished", "an empty text, complete",
        faults=("empty-stream",)),
    Row(37, "compression that nobody asked for",
        "the text; Brotli needs the module, else `ProtocolError`", "no",
        faults=("gzip", "gzip-noflush", "deflate", "raw-deflate"),
        tests=("tests/faults/test_brotli.py::test_an_answer_is_read_or_refused",)),
    Row(38, "it is said to be compressed and is not", "`ProtocolError`", "no",
        faults=("gzip-lie",)),
    Row(39, "a compressed answer that is cut", "`TruncatedStream`, after the text", "no",
        faults=("gzip-truncated",)),
    Row(40, "a compression bomb; compressed more than five times over", "`LimitExceeded`", "no",
        faults=("gzip-bomb", "gzip-bomb-comments", "gzip-chain"),
        tests=("tests/transport/test_reading.py::test_a_gzip_bomb_comes_in_small_pieces",
               "tests/transport/test_coding.py::test_total_ends_a_bomb",
               "tests/faults/test_brotli.py::test_a_bomb_meets_the_limit_of_an_event")),
    Row(41, "characters cut between two packets, one byte at a time", "the text, exact",
        faults=("torn-utf8", "byte-at-a-time")),
    Row(42, "bytes that are no UTF-8",
        "U+FFFD, counted; with `Limits(invalid_utf8=0)` a `ProtocolError` after the text", "no",
        faults=("invalid-utf8",),
        tests=("tests/faults/test_damage.py::test_what_is_no_utf8_is_replaced_and_counted",
               "tests/faults/test_damage.py"
               "::test_strictly_it_is_an_error_behind_all_events_before_it")),
    Row(43, "half a surrogate pair; a pair cut in two", "U+FFFD; the joined character",
        faults=("lone-surrogate", "split-surrogate")),
    Row(44, "a byte-order mark, NUL, U+2028, U+0085 in the text", "the text, exact",
        faults=("bom", "nul", "unicode-lines")),
    Row(45, "line ends, comments, fields and spaces of every legal kind", "the text, exact",
        faults=("crlf", "cr", "crlf-torn", "no-space", "multi-line-data", "comments",
                "unknown-fields", "empty-data")),
    Row(46, "an endless line, event, field name or number of lines",
        "`LimitExceeded` (16 MiB for an event), after the text", "no",
        faults=("huge-event", "no-newline-endless", "endless-event-name", "many-data-lines"),
        tests=("tests/pipeline/test_chain.py"
               "::test_text_before_an_event_over_the_limit_is_delivered",)),
    Row(47, "an event that is no JSON",
        "`ProtocolError` after the text; `Limits(invalid_events=n)` leaves out n, counted", "no",
        faults=("invalid-json",),
        tests=("tests/faults/test_damage.py"
               "::test_events_that_cannot_be_read_are_left_out_and_counted",)),
    Row(48, "JSON nested over 256 levels; huge numbers, NaN, arrays in the place of objects",
        "`ProtocolError` after the text; the others are ignored", "no",
        faults=("deep-json", "big-int", "nan", "json-array")),
    Row(49, "the same events twice", "passed on twice; OpenAI Responses number theirs: once",
        faults=("dup-events",),
        tests=("tests/pipeline/test_failed_answers.py"
               "::test_a_repeated_event_of_a_response_is_read_once",)),
    Row(50, "the answer hits the token limit", "the text, `outcome` `length`",
        faults=("finish-length",)),
    Row(51, "more answers than one in one stream", "the first; the others in `metadata`",
        faults=("multi-choice",)),
    Row(52, "escape sequences or forged events in the text",
        "the text, unchanged; terminal and web writers make them harmless",
        faults=("ansi", "sse-inject"),
        tests=("tests/integrations/test_terminal.py"
               "::test_sequences_torn_at_every_place_reach_a_real_terminal_harmless",
               "tests/wire/test_encode.py::test_the_decoder_reads_what_was_encoded")),
    Row(53, "silence in the middle", "`StreamTimeout`, `clock` `wire`, after the text", "no",
        faults=("stall-after",)),
    Row(54, "keep-alives and nothing else",
        "`StreamTimeout`, `clock` `first`; `content` after the text", "before any text",
        faults=("stall-keepalive", "keepalive-forever")),
    Row(55, "an answer that drips, pauses, begins late; no usage", "the text, no false alarm",
        faults=("drip", "stall-before-first", "pause-mid", "no-usage"),
        tests=(f"{_CLOCKS}::test_wire_starts_again_with_every_byte",)),
    Row(56, "an answer without end",
        "`LimitExceeded` (64 MiB) or `StreamTimeout`, `clock` `total`, after the text", "no",
        faults=("infinite", "infinite-slow")),
    Row(57, "the wall clock jumps by an hour", "nothing: only monotonic clocks are used",
        tests=("tests/faults/test_clock_jumps.py"
               "::test_a_wall_clock_that_jumps_an_hour_changes_nothing",)),
    Row(58, "a kept connection that has died", "the text; it is replaced, once, silently",
        "not counted", faults=("stale-fin", "stale-rst"),
        tests=(f"{_POOL}::test_a_stale_connection_is_replaced_without_a_retry",)),
    Row(59, "cookies", "neither stored nor sent", faults=("set-cookie",),
        tests=(f"{_SECRETS}::test_cookies_are_neither_stored_nor_sent",)),
    Row(60, "one or two breaks or 503s, then an answer", "the text; `attempts` has them all",
        "yes",
        tests=(f"{_FAULTS}::test_a_break_before_the_answer_is_tried_again",
               f"{_ATTEMPTS}::test_a_passing_failure_is_sent_again_with_the_same_bytes")),
    Row(61, "any break after the first content, with `recovery=True`",
        "the joined text, each seam told; or `RecoveryFailed` with all that came", "by recovery",
        tests=(f"{_RECOVERY}::test_an_answer_cut_at_every_event_boundary_is_whole_again",
               f"{_RECOVERY}::test_every_kind_of_break_is_carried_on_in_every_mode",
               f"{_RECOVERY}::test_a_text_may_be_cut_in_the_middle_of_everything",
               f"{_RECOVERY}::test_a_tool_call_that_was_cut_is_made_anew",
               f"{_RECOVERY}::test_a_model_that_diverges_goes_on_after_a_seam_that_says_so",
               f"{_RECOVERY}::test_a_service_that_keeps_the_answer_sends_the_rest_of_it",
               f"{_RECOVERY}::test_attempts_used_up_raise_recovery_failed_with_everything")),
    Row(62, "your callback is slower than the answer",
        "all text (`block`, `coalesce`); with `drop`, `overwrite` a gap and exact counts",
        tests=("tests/pipeline/test_producer.py"
               "::test_a_lossy_policy_loses_display_and_never_the_answer",
               "tests/pipeline/test_producer.py::test_a_consumer_that_stops_stops_the_server",
               "tests/test_contracts.py"
               "::test_a_slow_consumer_gets_every_chunk_and_slows_the_producer")),
    Row(63, "your callback, `transform` or `validate` raises",
        "your own exception, once; what `on_metrics` and the like raise is logged", "no",
        tests=(f"{_HOOKS}::test_what_a_callback_raises_comes_out_of_wait",
               f"{_HOOKS}::test_what_a_callback_raises_comes_out_of_the_loop",
               f"{_HOOKS}::test_what_an_onlooker_raises_is_logged_once_and_changes_nothing")),
    Row(64, "your callback cancels, starts another stream or never returns",
        "`cancelled`; it works; `close()` from outside returns all the same",
        tests=(f"{_HOOKS}::test_a_callback_may_stop_the_stream",
               f"{_HOOKS}::test_a_callback_may_run_another_stream",
               f"{_HOOKS}::test_cancel_from_outside_does_not_wait_for_a_callback_that_blocks")),
    Row(65, "the consuming thread dies; the stream is forgotten",
        "connection and threads go within half a second, with a `ResourceWarning`",
        tests=(f"{_LEAVING}::test_100_threads_that_die_in_their_loop_leave_nothing",
               f"{_LEAVING}::test_200_abandoned_streams_leave_no_thread_and_no_socket")),
    Row(66, "`break`, `return` or an exception in your loop",
        "the service sees it at once, `cancelled`",
        tests=(f"{_LEAVING}::test_the_server_sees_every_way_of_leaving",)),
    Row(67, "`close()` while another thread waits for the stream",
        "the waiting thread goes on at once, `cancelled`",
        tests=(f"{_STREAM}::test_cancel_from_another_thread_frees_whoever_waits",
               "tests/transport/test_cancel.py::test_cancel_fifty_of_fifty")),
    Row(68, "Ctrl-C, SIGTERM, the end of the process, a fork, a process that is stopped",
        "`KeyboardInterrupt` at once; exit without a word; the parent's streams go on",
        tests=(f"{_SIGNALS}::test_ctrl_c_raises_there_and_closes_the_connection",
               f"{_SIGNALS}::test_sigterm_ends_the_process_at_once",
               "tests/process/test_exit.py::test_exit_keeps_its_code_and_says_nothing",
               "tests/process/test_fork.py::test_the_parents_streams_survive_their_children",
               "tests/process/test_stopped.py"
               "::test_the_time_a_process_stood_still_is_no_silence_of_the_provider")),
    Row(69, "no file descriptor or thread is left",
        "`ConnectError`, `kind` `resources`; running streams go on", "yes, but for threads",
        tests=(f"{_FAULTS}::test_out_of_descriptors",
               "tests/pipeline/test_run.py::test_a_thread_that_cannot_start_is_an_error_and_an_end",
               "tests/faults/test_many.py"
               "::test_200_streams_that_run_at_the_same_time_do_not_mix")),
    Row(70, "no memory is left", "`MemoryError`, after the text; the next stream works", "no",
        tests=("tests/faults/test_memory.py::test_a_callback_without_memory_ends_the_stream",
               "tests/faults/test_memory.py"
               "::test_a_parser_without_memory_ends_the_stream_behind_its_text",
               "tests/faults/test_memory.py"
               "::test_an_event_larger_than_the_memory_is_an_error_and_the_next_stream_works")),
    Row(71, "the store of a recovery is full, forbidden, broken or gone",
        "the text; a warning in the log, and nothing more is kept",
        tests=(f"{_STORES}::test_a_full_file_costs_the_answer_nothing",
               f"{_STORES}::test_a_damaged_file_costs_the_answer_nothing",
               f"{_STORES}::test_whatever_the_system_says_costs_the_answer_nothing",
               f"{_STORES}::test_a_stream_deleted_under_its_writer_is_an_answer_like_any_other",
               "tests/store/test_sqlite_processes.py::test_a_disk_that_is_full_is_an_outage",
               "tests/store/test_sqlite.py"
               "::test_whichever_statement_fails_nothing_is_lost_and_nothing_is_there_twice",
               "tests/store/test_sqlite_rows.py::test_a_torn_log_gives_a_prefix",
               "tests/store/test_sqlite_processes.py"
               "::test_a_writer_killed_at_any_moment_leaves_all_it_was_told_is_there",
               "tests/process/test_rejoined.py"
               "::test_what_a_killed_process_had_is_read_and_carried_on_by_another")),
    Row(72, "a prompt of 50 MB, odd text; NaN, bytes, half a surrogate pair in it",
        "sent exactly; `ConfigurationError` before anything is sent", "no",
        tests=("tests/faults/test_prompts.py::test_a_prompt_of_50_megabytes_is_sent_exactly",
               "tests/faults/test_prompts.py::test_odd_text_is_sent_exactly",
               "tests/faults/test_prompts.py"
               "::test_what_cannot_be_sent_is_refused_before_anything_is")),
)  # fmt: skip


def table() -> str:
    """The rows as the README shows them."""
    lines = ["| what goes wrong | what you get | sent again |", "|---|---|---|"]
    lines += [f"| {row.wrong} | {row.gives} | {row.again} |" for row in ROWS]
    return "\n".join(lines) + "\n"
