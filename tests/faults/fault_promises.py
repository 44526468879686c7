"""
The promises P27 to P65 of PROMISES.md, and the tests that hold the library to each.

P28 is the whole suite on a free-threaded Python.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PROMISES"]

_CASE = "tests/faults/test_cases.py::test_a_fault_gives_what_its_case_says"
_CLOCKS = "tests/transport/test_clocks.py"
_POOL = "tests/transport/test_pool.py"
_ATTEMPTS = "tests/pipeline/test_attempts.py"
_RECOVERY = "tests/pipeline/test_recovery.py"
_RETRY = "tests/recovery/test_retry.py"

#: Promise -> tests.
PROMISES: Mapping[str, tuple[str, ...]] = {
    "P27": ("tests/faults/test_many.py::test_200_streams_that_run_at_the_same_time_do_not_mix",),
    "P29": (
        _CASE,
        f"{_ATTEMPTS}::test_a_broken_answer_raises_after_all_its_text",
        f"{_ATTEMPTS}::test_other_dialects_end_by_the_same_rules",
    ),
    "P30": (
        _CASE,
        f"{_ATTEMPTS}::test_a_complete_answer_ends_quietly",
        f"{_CLOCKS}::test_silence_after_a_finish_reason_is_the_end",
        f"{_CLOCKS}::test_after_the_terminal_event_nothing_is_waited_for",
    ),
    "P31": (
        _CASE,
        f"{_ATTEMPTS}::test_an_answer_without_content_raises",
        "tests/pipeline/test_head.py::test_json_that_is_no_answer_is_an_error_with_what_it_says",
        "tests/transport/test_reading.py::test_an_answer_of_another_1xx_status_is_not_the_answer",
    ),
    "P32": (_CASE, "tests/transport/test_faults.py::test_refused"),
    "P33": (
        _CASE,
        "tests/faults/test_prefix.py::test_text_that_was_held_back_comes_before_the_error",
        "tests/transport/test_coding.py"
        "::test_events_that_arrived_whole_are_delivered_before_the_error",
    ),
    "P34": (
        "tests/pipeline/test_hooks.py::test_what_a_callback_raises_comes_out_of_wait",
        "tests/pipeline/test_hooks.py::test_what_a_callback_raises_comes_out_of_the_loop",
        "tests/pipeline/test_hooks.py"
        "::test_what_an_onlooker_raises_is_logged_once_and_changes_nothing",
        "tests/pipeline/test_shaping.py"
        "::test_what_a_transform_raises_ends_the_stream_after_what_came_before",
        "tests/pipeline/test_stream.py::test_an_interrupt_while_waiting_is_never_swallowed",
    ),
    "P35": (
        "tests/pipeline/test_shaping.py"
        "::test_a_rejected_chunk_ends_the_stream_and_upstream_is_closed",
        "tests/stages/test_basic.py"
        "::test_refused_chunks_are_skipped_or_replaced_and_counted_when_asked",
    ),
    "P36": (
        _CASE,
        "tests/providers/test_failure.py"
        "::test_the_message_is_the_services_own_or_else_the_status_line",
        "tests/providers/test_failure.py::test_a_long_message_is_cut_and_the_body_kept",
    ),
    "P37": (
        "tests/pipeline/test_producer.py::test_the_account_balances_after_every_ending",
        "tests/pipeline/test_producer.py::test_the_account_balances_when_the_consumer_leaves",
        f"{_ATTEMPTS}::test_bytes_of_all_attempts_are_counted",
    ),
    "P38": ("tests/transport/test_reading.py::test_each_event_is_seen_before_the_next_is_sent",),
    "P40": (
        f"{_CLOCKS}::test_connect_ends_a_connection_nobody_takes",
        f"{_CLOCKS}::test_first_ends_the_wait_for_content",
        f"{_CLOCKS}::test_content_is_not_fooled_by_pings",
        f"{_CLOCKS}::test_wire_ends_silence",
        f"{_CLOCKS}::test_total_ends_whatever_never_ends",
    ),
    "P41": ("tests/test_deadline.py::test_the_defaults_are_finite",),
    "P42": (
        f"{_CLOCKS}::test_a_slow_loop_body_is_no_silence_of_the_provider",
        f"{_CLOCKS}::test_back_pressure_is_no_silence_of_the_provider",
    ),
    "P43": (
        "tests/faults/test_clock_jumps.py::test_a_wall_clock_that_jumps_an_hour_changes_nothing",
        "tests/process/test_stopped.py"
        "::test_the_time_a_process_stood_still_is_no_silence_of_the_provider",
    ),
    "P50": (
        "tests/faults/test_cases.py::test_a_fault_is_tried_again_or_not",
        f"{_ATTEMPTS}::test_a_passing_failure_is_sent_again_with_the_same_bytes",
        f"{_ATTEMPTS}::test_a_lasting_failure_is_not_sent_again",
        f"{_ATTEMPTS}::test_nothing_is_sent_again_after_content",
        f"{_ATTEMPTS}::test_x_should_retry_wins_over_the_status",
    ),
    "P51": (
        f"{_ATTEMPTS}::test_retries_end_after_max_retries",
        f"{_RETRY}::test_back_off_doubles_up_to_the_cap",
        f"{_RETRY}::test_back_off_stays_in_its_band",
        f"{_RETRY}::test_the_same_seed_gives_the_same_delays",
        f"{_CLOCKS}::test_total_counts_all_attempts_together",
    ),
    "P52": (
        f"{_ATTEMPTS}::test_retry_after_in_any_form_is_taken_or_ignored",
        f"{_ATTEMPTS}::test_a_retry_after_beyond_the_bound_fails_at_once",
        f"{_RETRY}::test_a_senseless_wait_gives_our_own_back_off",
        f"{_RETRY}::test_retry_after_never_raises_and_is_never_negative",
    ),
    "P53": (
        f"{_POOL}::test_a_stale_connection_is_replaced_without_a_retry",
        f"{_POOL}::test_several_stale_connections_cost_one_replacement",
        f"{_POOL}::test_a_new_connection_that_dies_is_no_stale_one",
    ),
    "P54": (
        f"{_POOL}::test_twenty_streams_in_a_row_use_one_connection",
        f"{_POOL}::test_what_cannot_be_kept_is_closed",
    ),
    "P55": (
        f"{_ATTEMPTS}::test_a_passing_failure_is_sent_again_with_the_same_bytes",
        "tests/faults/test_same_request.py"
        "::test_every_attempt_sends_the_same_body_and_the_same_headers",
    ),
    "P56": (
        f"{_RECOVERY}::test_an_answer_cut_at_every_event_boundary_is_whole_again",
        f"{_RECOVERY}::test_every_kind_of_break_is_carried_on_in_every_mode",
        f"{_RECOVERY}::test_a_text_may_be_cut_in_the_middle_of_everything",
        f"{_RECOVERY}::test_a_character_cut_in_half_is_joined_or_begun_again",
        f"{_RECOVERY}::test_a_tool_call_that_was_cut_is_made_anew",
        "tests/recovery/test_splice.py"
        "::test_what_the_model_repeats_verbatim_is_left_out_at_every_cut",
    ),
    "P57": (
        f"{_RECOVERY}::test_a_model_that_diverges_goes_on_after_a_seam_that_says_so",
        "tests/recovery/test_splice.py"
        "::test_a_model_that_begins_all_over_in_other_words_has_diverged_and_all_of_it_shows",
    ),
    "P58": (
        "tests/store/test_sqlite_processes.py"
        "::test_a_writer_killed_at_any_moment_leaves_all_it_was_told_is_there",
        "tests/store/test_sqlite.py"
        "::test_whichever_statement_fails_nothing_is_lost_and_nothing_is_there_twice",
        "tests/store/test_sqlite_rows.py::test_a_torn_log_gives_a_prefix",
        "tests/faults/test_stores.py::test_a_full_file_costs_the_answer_nothing",
        "tests/faults/test_stores.py::test_whatever_the_system_says_costs_the_answer_nothing",
    ),
    "P59": (
        f"{_ATTEMPTS}::test_nothing_is_sent_again_after_content",
        "tests/pipeline/test_follow.py::test_whoever_comes_back_gets_the_rest",
        "tests/process/test_rejoined.py"
        "::test_what_a_killed_process_had_is_read_and_carried_on_by_another",
    ),
    "P60": (
        _CASE,
        "tests/faults/test_bounds.py::test_memory_stays_within_three_times_the_limit",
        "tests/wire/test_sse.py::test_too_many_lines_in_one_event_are_an_error_comments_included",
    ),
    "P62": (
        "tests/faults/test_bounds.py::test_memory_stays_within_three_times_the_limit",
        "tests/transport/test_reading.py::test_a_gzip_bomb_comes_in_small_pieces",
        "tests/transport/test_reading.py::test_compression_is_not_asked_for",
        "tests/faults/test_brotli.py::test_a_bomb_meets_the_limit_of_an_event",
    ),
    "P63": (
        f"{_CLOCKS}::test_an_error_body_that_hangs_does_not_hide_the_status",
        f"{_CLOCKS}::test_an_endless_error_body_is_cut",
    ),
    "P64": (
        "tests/transport/test_faults.py::test_a_head_that_is_too_long_as_a_whole",
        "tests/transport/test_faults.py::test_no_redirect_is_followed",
    ),
    "P65": (
        _CASE,
        "tests/wire/test_jsontext.py::test_nesting_is_allowed_up_to_256_levels",
        "tests/wire/test_jsontext.py::test_integers_are_exact_and_those_python_refuses_become_none",
        "tests/wire/test_jsontext.py::test_duplicate_keys_the_last_wins",
        "tests/wire/test_jsontext.py::test_nan_and_infinity_become_none",
        "tests/pipeline/test_chain.py::test_a_lone_surrogate_can_always_be_encoded",
    ),
}
