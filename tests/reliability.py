"""Which test shows which property; ``python -m tests.reliability`` writes the page of it.

A property is *shown* when its tests fail without it. Where something of it is not shown,
``missing`` names it. ``real`` means that a real process is killed, paused or slowed down.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"


@dataclass(frozen=True, slots=True)
class Property:
    """One promise and its evidence.

    Attributes
    ----------
    text
        What holds.
    tests
        ``file::test`` below ``tests``.
    missing
        What of it no test shows; empty: nothing.
    real
        A real process is killed, paused or slowed down.
    kafka
        At least one of the tests runs on Apache Kafka.
    """

    text: str
    tests: tuple[str, ...]
    missing: str = ""
    real: bool = False
    kafka: bool = False


_INGEST = "integration/test_api_ingest.py::"
_LISTENERS = "integration/test_streams_listeners.py::"
_SINKS = "integration/test_streams_sinks.py::"
_FOLD = "integration/test_streams_fold.py::"
_LEARNER = "integration/test_streams_learner.py::"
_SERVING = "integration/test_api_serving.py::"
_FEATURES = "integration/test_api_features.py::"
_COMPATIBLE = "contracts/test_compatibility.py::"
_CHAOS = "faults/test_chaos.py::"
_WORKERS = "integration/test_streams_faults.py::"
_KILLS = "faults/test_kill_during_replay.py::"
_NIGHTLY = "integration/test_batch_nightly.py::"
_WAREHOUSE = "integration/test_batch_warehouse.py::"
_CLUSTER = "integration/test_kafka_cluster.py::"
_ERASURE = "integration/test_erasure.py::"
_MODEL = "online_model/test_recommender.py::"
_DIRECTORY = "online_model/test_directory.py::"
_HOSTS = "faults/test_hosts.py::"
_KILLED = _KILLS + "test_a_killed_process_loses_and_doubles_nothing"
_BROKER = _CHAOS + "test_a_broker_that_is_killed_and_comes_back_costs_no_acknowledged_play"
_PAUSED_BROKER = _CHAOS + "test_a_broker_that_does_not_answer_is_shed_while_health_is_answered"

GROUPS: dict[str, tuple[Property, ...]] = {
    "Several hosts": (
        Property(
            "Under load, with processes, brokers and primaries killed, two hosts cut off from each "
            "other, a host added, pods replaced and a host lost: no play is lost or doubled, every "
            "request for a list is answered",
            (
                _HOSTS + "test_every_accepted_play_is_in_every_store_once",
                _HOSTS + "test_every_request_for_a_list_is_answered",
                _HOSTS + "test_processes_end_in_order_and_never_by_an_error_of_ours",
            ),
            real=True,
            kafka=True,
        ),
    ),
    "Ingest": (
        Property(
            "A 2xx is durable: kill -9 of the API right after the answer",
            (_INGEST + "test_202_means_durable_even_when_the_api_is_killed_at_once", _KILLED),
            real=True,
            kafka=True,
        ),
        Property(
            "Broker down: 503 (Last.fm code 16), nothing acknowledged is lost, no restart needed",
            (
                _BROKER,
                _INGEST + "test_broker_down_is_a_503_and_it_recovers_without_a_restart",
            ),
            real=True,
            kafka=True,
        ),
        Property(
            "The same body many times is one play",
            (
                "integration/test_replay.py::test_twice_the_same_file_doubles_nothing",
                _INGEST + "test_the_same_play_has_the_same_id_whoever_sends_it",
            ),
        ),
        Property(
            "Concurrent duplicates are one play",
            (
                "integration/test_imports.py"
                "::test_ten_times_at_once_and_through_two_protocols_is_one_set_of_plays",
            ),
        ),
        Property(
            "One bad listen refuses a ListenBrainz import whole; /v1 reports each play",
            (
                "api/test_listenbrainz_validate.py::test_one_bad_listen_refuses_all",
                "api/test_plays.py::test_one_bad_play_is_refused_alone",
            ),
        ),
        Property(
            "Limits of sizes, counts and times; hostile bodies",
            (
                "api/test_http.py::test_listenbrainz_bounds_of_listens",
                "api/test_listenbrainz_validate.py::test_too_high_timestamps",
            ),
        ),
        Property(
            "A slow broker never blocks health; memory is bounded; the excess is a 503",
            (
                _PAUSED_BROKER,
                "api/test_producer.py::test_memory_is_bounded_and_the_excess_refused_at_once",
            ),
            real=True,
            kafka=True,
        ),
        Property(
            "SIGTERM of the API: unready before the door closes, accepted requests finish, code 0",
            (
                _CHAOS + "test_sigterm_makes_the_api_unready_before_it_closes_the_door",
                _INGEST + "test_sigterm_finishes_what_was_accepted",
            ),
            real=True,
            kafka=True,
        ),
        Property(
            "Tokens revoked, expired, of another role or listener: refused, recorded; limits shown",
            (
                _INGEST + "test_a_revoked_token_is_refused_within_seconds",
                _INGEST + "test_a_token_is_refused_once_it_expires_and_not_before",
                "api/test_limits.py::test_every_caller_is_limited",
                "api/test_exposure.py::test_refusals_are_put_on_record_once_an_hour",
            ),
        ),
    ),
    "Stream processing": (
        Property(
            "kill -9 at any step of a commit: the state of one clean run",
            (
                _KILLED,
                _SINKS + "test_kills_at_each_step_of_a_commit_neither_lose_nor_double",
                _LISTENERS + "test_counts_are_exact_after_kills_at_each_step_of_a_commit",
                _LEARNER + "test_kills_at_each_step_leave_the_model_of_an_uninterrupted_run",
                "streams/test_postgres_sink.py::test_a_transaction_that_fails_moves_nothing",
            ),
            real=True,
            kafka=True,
        ),
        Property(
            "A worker paused beyond its session is harmless when it continues",
            (_CHAOS + "test_workers_paused_beyond_their_session_neither_lose_nor_double",),
            real=True,
            kafka=True,
        ),
        Property(
            "A broker restarted under load, and a change of leader: no loss, no double",
            (_BROKER, _CLUSTER + "test_a_broker_killed_under_load_loses_nothing_and_stops_nothing"),
            real=True,
            kafka=True,
        ),
        Property(
            "Workers join and leave under load: counts are exact",
            (
                _CHAOS + "test_listeners_join_and_leave_every_few_seconds",
                _LISTENERS + "test_workers_come_and_go_under_load",
            ),
            real=True,
            kafka=True,
        ),
        Property(
            "Everything delivered again changes nothing",
            (
                _LISTENERS + "test_redelivery_of_everything_changes_nothing",
                _FOLD + "test_redelivery_of_anything_changes_nothing",
                _MODEL + "test_redelivered_plays_change_only_the_count_of_duplicates",
            ),
        ),
        Property(
            "Order within a listener does not matter",
            (
                "streams/test_fold.py::test_the_fold_depends_on_the_set_of_plays_alone",
                "streams/test_duplicates.py::test_neither_order_nor_repetition_matters",
                "integration/test_duplicates.py::test_any_order_any_parts_any_repetition",
            ),
        ),
        Property(
            "A late play joins its window and day; beyond a full window, history and lake keep it",
            (
                _WORKERS + "test_without_a_place_for_dead_letters_workers_stop_before_the_message",
                _WAREHOUSE + "test_a_late_play_joins_the_sessions_around_it",
                _FOLD + "test_counts_say_kept_duplicate_and_late",
            ),
            kafka=True,
        ),
        Property(
            "Times in the future and clocks that disagree",
            (
                "api/test_listenbrainz_validate.py::test_too_high_timestamps",
                _MODEL + "test_a_play_from_the_far_future_does_not_wipe_the_memory",
                _ERASURE + "test_clocks_that_disagree_neither_save_nor_cost_a_play",
            ),
        ),
        Property(
            "A message that cannot be used is set aside with its reason; the rest continues",
            (
                _LISTENERS + "test_poison_is_set_aside_with_its_reason_and_the_rest_goes_on",
                _SINKS + "test_poison_is_set_aside_and_odd_plays_survive",
                "integration/test_dead_letters.py::test_one_poison_message_is_one_letter_and_blocks_nobody",
                _WORKERS + "test_without_a_place_for_dead_letters_workers_stop_before_the_message",
            ),
            kafka=True,
        ),
        Property(
            "Dead letters sent again add exactly what was missing",
            (
                "integration/test_dead_letters.py::test_a_play_the_api_refused_is_kept_and_posted_again",
                "integration/test_dead_letters.py::test_a_scrobble_the_api_refused_is_posted_again",
            ),
        ),
        Property(
            "Schemas may grow: unknown fields, older versions; an incompatible change is blocked",
            (
                "contracts/test_events.py::test_unknown_fields_are_ignored",
                "streams/test_decode.py::test_impressions_of_version_1_are_still_read",
                _COMPATIBLE + "test_every_class_reads_all_that_was_ever_published",
                _COMPATIBLE + "test_a_change_that_cannot_read_the_log_is_named",
                _COMPATIBLE + "test_class_and_schema_that_change_together_are_not_published",
                _COMPATIBLE + "test_old_workers_must_read_what_a_new_api_writes",
            ),
        ),
        Property(
            "One hot listener does not starve the others",
            (_WORKERS + "test_one_hot_listener_does_not_starve_the_others",),
            kafka=True,
        ),
        Property(
            "A store that is away or slow is waited for, and the lag is made up",
            (
                _LISTENERS + "test_redis_may_go_and_come_back",
                _SINKS + "test_postgres_may_go_and_come_back",
                _FOLD + "test_a_server_that_cannot_write_now_is_waited_for",
                "integration/test_locks.py::test_a_locked_history_leaves_lists_tokens_and_readiness",
                _WORKERS + "test_a_flood_while_the_stores_are_away_does_not_fill_the_memory",
            ),
            real=True,
            kafka=True,
        ),
    ),
    "Model": (
        Property(
            "A snapshot is whole or the one before is used",
            (
                _DIRECTORY + "test_damaged_snapshot_is_refused_and_the_previous_one_used",
                _DIRECTORY + "test_a_snapshot_that_cannot_be_written_leaves_nothing_behind",
            ),
        ),
        Property(
            "Snapshot and replay equal an uninterrupted run, bit by bit",
            (
                _DIRECTORY + "test_snapshot_and_replay_equal_an_uninterrupted_run",
                _LEARNER + "test_kills_at_each_step_leave_the_model_of_an_uninterrupted_run",
            ),
            kafka=True,
        ),
        Property(
            "Serving changes nothing; strangers get popular tracks",
            (_MODEL + "test_serving_changes_nothing", _MODEL + "test_stranger_gets_popular_tracks"),
        ),
        Property(
            "Models change under load, no answer mixes two, and they are rolled back",
            (
                "integration/test_api_models.py"
                "::test_models_change_under_load_and_no_answer_mixes_two",
                "api/test_desk.py"
                "::test_a_list_that_waits_while_the_model_changes_names_the_one_it_was_made_by",
                "streams/test_views.py::test_views_are_loaded_once_each_and_rolled_back",
                "online_model/test_processes.py::test_readers_survive_a_writer_that_learns_evicts_and_restarts",
            ),
        ),
        Property(
            "The same ranking in every process",
            ("online_model/test_processes.py::test_hash_seed_changes_nothing",),
        ),
        Property(
            "Rows are bounded, memory is flat",
            (
                "online_model/test_lists.py::test_memory_stays_flat_over_an_endless_stream",
                "online_model/test_lists.py::test_forgotten_tracks_leave_no_trace",
            ),
        ),
        Property(
            "Quality on a fixed stream does not fall",
            ("online_model/test_evaluation.py::test_quality_gate",),
        ),
    ),
    "Feature store and serving": (
        Property(
            "FLUSHALL in mid-traffic: lists are degraded, call nobody a stranger, and come back",
            (
                _CHAOS + "test_an_emptied_store_degrades_and_is_folded_again",
                _LISTENERS + "test_a_store_that_was_emptied_is_folded_again_from_the_log",
                _FEATURES + "test_a_store_that_lost_its_data_calls_nobody_a_stranger",
            ),
            real=True,
            kafka=True,
        ),
        Property(
            "Kafka deleted what an emptied store needs: it is folded from the lake",
            (
                _SINKS + "test_what_kafka_has_deleted_is_folded_from_the_lake",
                "streams/test_beginning.py"
                "::test_what_the_lake_lacks_as_well_is_named_and_can_be_accepted",
                "streams/test_lake_log.py"
                "::test_messages_come_back_byte_for_byte_in_the_order_of_the_log",
            ),
            real=True,
            kafka=True,
        ),
        Property(
            "Redis dead, frozen or 100 ms away",
            (
                _SERVING + "test_store_down_gives_popular_tracks_at_once",
                _SERVING + "test_store_frozen_costs_a_timeout_once_a_second",
                _FEATURES + "test_a_store_100_ms_away_is_read",
            ),
            real=True,
        ),
        Property(
            "A single play is seen soon",
            (_LISTENERS + "test_a_play_is_seen_soon", _SERVING + "test_a_real_client_end_to_end"),
            kafka=True,
        ),
        Property(
            "Latency is flat over 10,000 requests",
            (
                "integration/test_api_models.py"
                "::test_the_ten_thousandth_request_costs_what_the_thousandth_did",
            ),
        ),
        Property(
            "What was played, hated or hidden is not offered; an exhausted list is shorter",
            (
                _MODEL + "test_list_is_in_order_and_leaves_out_what_it_must",
                _SERVING + "test_hidden_tracks_stay_away",
            ),
        ),
        Property(
            "A partial blob is never served as whole; windows that stand still degrade lists",
            (
                "contracts/test_features.py::test_a_torn_blob_is_refused",
                "api/test_desk.py::test_one_torn_blob_spoils_no_other",
                "api/test_desk.py"
                "::test_windows_that_stand_still_degrade_lists_and_are_used_all_the_same",
                "api/test_http.py::test_a_host_that_was_taken_away_does_not_speak_for_the_others",
            ),
        ),
    ),
    "Warehouse": (
        Property(
            "A loader killed between write and commit",
            (
                _SINKS + "test_kills_at_each_step_of_a_commit_neither_lose_nor_double",
                "integration/test_snowflake_landing.py"
                "::test_kills_at_every_step_neither_lose_nor_double",
                "streams/test_postgres_sink.py::test_a_transaction_that_fails_moves_nothing",
            ),
            real=True,
            kafka=True,
        ),
        Property(
            "The warehouse away: the backlog loads, alarms are raised and clear",
            (
                _SINKS + "test_postgres_may_go_and_come_back",
                _WORKERS + "test_a_flood_while_the_stores_are_away_does_not_fill_the_memory",
                "batch/test_quality.py::test_a_silent_log_is_stale_until_a_play_lands",
            ),
            real=True,
            kafka=True,
        ),
        Property(
            "Loaded twice is loaded once",
            (
                _NIGHTLY + "test_a_second_nightly_changes_nothing",
                _SINKS + "test_history_skips_what_it_has",
            ),
        ),
        Property(
            "Accepted = in Kafka = in Redis = in lake = in PostgreSQL; every night, by the hour",
            (
                "integration/test_history_check.py::test_every_hour_agrees_however_plays_came",
                "integration/test_history_check.py"
                "::test_a_row_too_many_or_too_few_is_found_in_its_hour",
                "integration/test_replay.py::test_a_play_that_is_gone_is_noticed_in_the_store_that_lost_it",
                _KILLS
                + "test_after_all_kills_the_warehouse_agrees_and_a_second_run_doubles_nothing",
            ),
            kafka=True,
        ),
        Property(
            "Drift of a source is reported; odd plays land",
            (
                _SINKS + "test_clients_and_names_are_kept_as_they_are",
                "batch/test_quality.py"
                "::test_fields_that_a_client_began_to_send_are_named_and_cost_nothing",
                "batch/collectors/test_lastfm.py::test_drift_is_reported_and_the_plays_still_arrive",
            ),
        ),
        Property(
            "dbt twice is the same; incremental is a full refresh; late rows are repaired",
            (
                _WAREHOUSE + "test_built_twice_is_the_same",
                _WAREHOUSE + "test_incremental_nights_equal_one_full_refresh",
            ),
        ),
        Property(
            "Batch and speed layer meet without gap or overlap",
            (_NIGHTLY + "test_batch_and_speed_layer_meet_without_gap_or_overlap",),
        ),
        Property(
            "Erased means everywhere, and on record; every fold leaves out what the log keeps",
            (
                _ERASURE + "test_nothing_knows_them_any_more",
                _ERASURE + "test_clocks_that_disagree_neither_save_nor_cost_a_play",
                _ERASURE + "test_rows_that_come_back_keep_an_erasure_open",
                _ERASURE + "test_the_trail_tells_it_without_a_name",
                _CHAOS + "test_an_erased_listener_is_in_no_store_though_the_log_keeps_the_plays",
            ),
            kafka=True,
        ),
    ),
    "Orchestration and governance": (
        Property(
            "Nightlies do not overlap; a killed one is resumed; Airflow back-fills and retries",
            (
                _NIGHTLY + "test_two_nightlies_do_not_overlap",
                _NIGHTLY + "test_a_killed_run_is_taken_up_at_the_step_it_was_in",
                "integration/test_batch_dags.py"
                "::test_a_dag_run_of_a_past_day_whose_task_is_killed_and_retried",
            ),
        ),
        Property(
            "A killed collector resumes; 429 and 5xx are waited out",
            ("batch/collectors/test_lastfm.py::test_killed_at_random_points_and_resumed",),
            real=True,
        ),
        Property(
            "A log that moves to more partitions while plays come, and a run that is killed: "
            "each store holds each play once",
            (
                "integration/test_repartition.py::test_a_log_moves_while_plays_come",
                "infra/operations/repartition/test_run.py::test_a_copy_stopped_anywhere_resumes",
                "integration/test_repartition.py::test_an_erasure_covers_what_was_copied_before_it",
            ),
            missing="the Flink jobs and the Snowflake sink on the new log",
            real=True,
            kafka=True,
        ),
        Property(
            "A namespace that was left is deleted only when nothing in it is needed any more",
            (
                "integration/test_repartition.py"
                "::test_nothing_is_deleted_before_everything_has_moved",
            ),
            real=True,
            kafka=True,
        ),
        Property(
            "Two importers, or two erasers, at once: each upload and each erasure is done once",
            (
                "integration/test_two_importers.py"
                "::test_each_file_is_imported_once_and_two_at_the_same_time",
                "integration/test_erasure.py::test_of_two_erasers_one_works_and_the_other_waits",
            ),
            real=True,
        ),
        Property(
            "The audit trail shows what was altered or removed",
            (
                "integration/test_audit.py::test_an_altered_row_is_named",
                "integration/test_audit.py::test_missing_rows_are_named",
                "integration/test_audit.py::test_a_tail_that_was_cut_off_needs_a_noted_head",
            ),
        ),
        Property(
            "Lineage of every run, by table and by column; a failed run names the step that failed",
            (
                _NIGHTLY + "test_the_lineage_of_a_run_is_kept_with_it",
                _NIGHTLY + "test_every_column_of_a_mart_goes_back_to_what_landed",
                _NIGHTLY + "test_the_lineage_of_a_failed_run_says_where_it_failed",
            ),
        ),
        Property(
            "Every quality check finds its defect",
            (
                "batch/test_quality.py::test_every_check_has_its_defect",
                "batch/test_quality.py::test_a_seeded_defect_is_found_by_its_check_alone",
            ),
        ),
    ),
}


def render() -> str:
    """Return the page."""
    every = [each for group in GROUPS.values() for each in group]
    whole = sum(not each.missing for each in every)
    lines = [
        "# Reliability: which test shows which property\n",
        "<!-- Generated from tests/reliability.py by `make pages`: do not change it here. -->\n",
        f"{len(every)} properties: {whole} are shown whole, {len(every) - whole} in part or not at "
        "all; the last column lists what is missing. P: a real process is killed, paused or slowed "
        "down. K: on Apache Kafka. What was measured: [figures](reliability-figures.md).\n",
    ]
    number = 0
    for title, group in GROUPS.items():
        lines.append(f"## {title}\n")
        lines.append("| # | property | | tests | not shown |\n|---|---|---|---|---|")
        for each in group:
            number += 1
            marks = " ".join(mark for mark, is_so in (("P", each.real), ("K", each.kafka)) if is_so)
            tests = "<br>".join(f"`{test}`" for test in each.tests)
            lines.append(f"| {number} | {each.text} | {marks} | {tests} | {each.missing} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(render())
