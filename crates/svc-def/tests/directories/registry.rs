//! Every key of service.toml has three things: prose in the man page, an answer to a wrong value, and a test of what it does in a
//! running system. A key that is new stands in this table, or the test fails.

use std::collections::BTreeSet;
use std::path::Path;

use crate::servicefile::{frame, keys, problems};

/// A key; a wrong line with it, in line 1; the beginning of what is said of that, with its column; and the test of its effect.
type Row = (&'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("kind", "kind = 'proces'", "1:8: kind must be one of process, forking, oneshot, bundle, milestone, timer, and is \"proces\": did you mean process?", "oneshots_bundles_and_milestones_come_in_order"),
    ("command", "command = \"a 'b\"", "1:11: command has a ' that is never closed", "a_command_is_words_or_a_line_that_is_split"),
    ("pid-file", "pid-file = 3", "1:12: pid-file is 3, and must be a text in quotes", "a_pid_file_chooses_among_what_is_left_behind"),
    ("sockets", "sockets = ['here:99999']", "1:12: sockets: \"here:99999\" is no address: write numbers", "it_finds_them_from_descriptor_3_on_with_their_names_and_its_own_pid"),
    ("up", "up = []", "1:6: up names no program: write \"migrate --all\"", "a_oneshot_is_taken_down_as_it_was_brought_up"),
    ("down", "down = 3", "1:8: down is 3, and must be a list of words, or one text", "a_oneshot_is_taken_down_as_it_was_brought_up"),
    ("members", "members = ['a/b']", "1:12: members names \"a/b\": the name contains /: rename the directory", "oneshots_bundles_and_milestones_come_in_order"),
    ("instances", "instances = 5", "1:1: instances means something in a template only, whose name ends in @: call it NAME@.toml, or NAME@/service.toml", "a_template_makes_a_service_for_each_instance"),
    ("start", "start = 'lazy'", "1:9: start is \"lazy\", and must be true or false, without quotes, or \"on-demand\"", "order_alone_starts_nobody"),
    ("idle-stop", "idle-stop = 5", "1:13: idle-stop is 5, and must be a time with its unit (ms, s, m, h or d), and more than 0", "one_that_nobody_needs_is_stopped_and_nobody_is_woken_for_it"),
    ("cron", "cron = '61 * * * *'", "1:8: cron is \"61 * * * *\", which is no cron expression", "a_cron_expression_has_its_time_zone"),
    ("zone", "zone = 'Mars/Olympus'", "1:8: zone is \"Mars/Olympus\"", "a_cron_expression_has_its_time_zone"),
    ("every", "every = '5'", "1:9: every is \"5\", and must be a time with its unit", "process_compose_a_schedule_runs_again_and_again"),
    ("every-from", "every-from = 'middle'", "1:14: every-from must be one of start, end, and is \"middle\"", "an_interval_is_counted_from_start_or_from_end"),
    ("jitter", "jitter = true", "1:10: jitter is true, and must be a time with its unit", "jitter_comes_on_top"),
    ("overlap", "overlap = 'wait'", "1:11: overlap must be one of skip, queue, kill, and is \"wait\"", "what_comes_while_it_runs_is_skipped_queued_or_kills"),
    ("missed", "missed = 'all'", "1:10: missed must be one of skip, run, and is \"all\"", "what_was_missed_runs_once_or_not_at_all"),
    ("run-at-start", "run-at-start = 1", "1:16: run-at-start is 1, and must be true or false, without quotes", "a_run_may_come_with_the_start"),
    ("timeout.run", "timeout.run = '1 fortnight'", "1:15: timeout.run is \"1 fortnight\", and must be a time with its unit", "a_run_has_its_time"),
    ("needs", "needs = [{ on = 'db', until = 'redy' }]", "1:31: needs: until must be one of started, ready, healthy, completed, and is \"redy\": did you mean ready?", "a_bond_says_what_a_stop_takes_along"),
    ("wants", "wants = [{ at = 'db' }]", "1:10: wants has an entry without on", "what_is_wanted_may_fail_and_what_is_needed_may_not"),
    ("after", "after = [3]", "1:10: after is 3, and must be a text in quotes", "order_alone_starts_nobody"),
    ("before", "before = ['']", "1:11: before names \"\": the name is empty", "order_alone_starts_nobody"),
    ("ready.fd", "ready.fd = 2", "1:12: ready.fd is 2, and must be a number from 3 to 1023, without quotes", "a_service_says_when_it_is_ready"),
    ("timeout.start", "timeout.start = 30", "1:17: timeout.start is 30, and must be a time with its unit", "a_service_that_never_is_ready_fails_and_leaves_no_probe"),
    ("timeout.stop", "timeout.stop = '-1s'", "1:16: timeout.stop is \"-1s\", and must be a time with its unit", "a_stop_is_over_after_its_time_and_a_kill_ends_it"),
    ("timeout.kill", "timeout.kill = '1x'", "1:16: timeout.kill is \"1x\", and must be a time with its unit", "a_stop_is_over_after_its_time_and_a_kill_ends_it"),
    ("stop.signal", "stop.signal = 'QUITE'", "1:15: stop.signal is \"QUITE\", and must be a signal that kill -l knows", "signals_are_as_they_are_written"),
    ("stop.steps", "stop.steps = 3", "1:14: stop.steps is 3, and must be a list", "signals_follow_each_other_until_it_ends"),
    ("stop.command", "stop.command = 3", "1:16: stop.command", "a_command_stops_it_and_knows_whom"),
    ("stop.drain", "stop.drain = 3", "1:14: stop.drain", "one_that_drains_is_not_ready_and_hears_nothing_until_it_is_drained"),
    ("stop.tree", "stop.tree = 'x'", "1:13: stop.tree is \"x\", and must be true or false", "signals_go_to_the_main_process_or_to_all"),
    ("reload.signal", "reload.signal = 99", "1:17: reload.signal is 99, and must be a signal that kill -l knows", "signals_are_as_they_are_written"),
    ("kill-group", "kill-group = 'no'", "1:14: kill-group is \"no\", and must be true or false, without quotes", "what_is_left_behind_goes_unless_it_is_kept"),
    ("keep-descendants", "keep-descendants = 0", "1:20: keep-descendants is 0, and must be true or false, without quotes", "what_is_left_behind_goes_unless_it_is_kept"),
    ("max-deaths", "max-deaths = 5000", "1:14: max-deaths is 5000, and must be a number from 0 to 4096, without quotes", "so_many_deaths_are_remembered"),
    ("user", "user = ''", "1:8: user is \"\", and must be a name or a number", "a_user_has_groups_and_a_home"),
    ("groups", "groups = [true]", "1:11: groups is true, and must be a name or a number", "a_user_has_groups_and_a_home"),
    ("home", "home = '/root'", "1:8: home is \"/root\", and must be true or false, without quotes", "a_user_has_groups_and_a_home"),
    ("env", "env = { 'A=B' = 'x' }", "1:9: env has \"A=B\", which is no name of a variable", "the_environment_is_that_of_svc_with_changes"),
    ("env-file", "env-file = 3", "1:12: env-file is 3, and must be a text in quotes", "the_environment_is_that_of_svc_with_changes"),
    ("unset", "unset = ['A=B']", "1:10: unset has \"A=B\", which is no name of a variable", "the_environment_is_that_of_svc_with_changes"),
    ("directory", "directory = ['a']", "1:13: directory is a list, and must be a text in quotes", "the_environment_is_that_of_svc_with_changes"),
    ("umask", "umask = '888'", "1:9: umask is \"888\", and must be octal digits in quotes", "masks_limits_and_niceness_are_set"),
    ("nice", "nice = 20", "1:8: nice is 20, and must be a number from -20 to 19, without quotes", "masks_limits_and_niceness_are_set"),
    ("ionice", "ionice = 'best'", "1:10: ionice is \"best\", and must be none, idle, best-effort:LEVEL or realtime:LEVEL (0 to 7)", "priorities_are_as_the_file_says"),
    ("scheduler", "scheduler = 'fifo:100'", "1:13: scheduler is \"fifo:100\", and must be other, batch, idle, fifo:PRIORITY or rr:PRIORITY (1 to 99)", "priorities_are_as_the_file_says"),
    ("cpu-affinity", "cpu-affinity = '3-1'", "1:16: cpu-affinity is \"3-1\", and must be numbers of processors", "priorities_are_as_the_file_says"),
    ("oom-score-adjust", "oom-score-adjust = 1001", "1:20: oom-score-adjust is 1001, and must be a number from -1000 to 1000, without quotes", "priorities_are_as_the_file_says"),
    ("chroot", "chroot = 3", "1:10: chroot is 3, and must be a text in quotes", "another_root_is_all_that_there_is"),
    ("capabilities.bounding", "capabilities.bounding = ['NET_BIND']", "1:26: capabilities.bounding has \"NET_BIND\", which is unknown: write names", "root_is_bounded_too"),
    ("capabilities.ambient", "capabilities.ambient = ['CHWON']", "1:25: capabilities.ambient has \"CHWON\", which is unknown: did you mean CHOWN?", "what_is_given_can_be_used"),
    ("no-new-privileges", "no-new-privileges = 'x'", "1:21: no-new-privileges is \"x\", and must be true or false, without quotes", "root_is_bounded_too"),
    ("landlock.read", "landlock.read = 3", "1:17: landlock.read is 3, and must be a text in quotes", "all_paths_but_a_few_are_closed"),
    ("landlock.write", "landlock.write = [3]", "1:19: landlock.write is 3, and must be a text in quotes", "all_paths_but_a_few_are_closed"),
    ("landlock.exec", "landlock.exec = true", "1:17: landlock.exec is true, and must be a text in quotes", "all_paths_but_a_few_are_closed"),
    ("landlock.version", "landlock.version = 0", "1:20: landlock.version is 0, and must be a number from 1 to 99, without quotes", "a_closed_program_is_explained"),
    ("seccomp", "seccomp = 'strict'", "1:11: seccomp is \"strict\", and must be default or no-namespaces", "system_calls_are_refused_by_profile"),
    ("cgroup.delegate", "cgroup.delegate = 'x'", "1:19: cgroup.delegate is \"x\", and must be true or false, without quotes", "a_user_may_make_cgroups_below_a_delegated_leaf_and_nowhere_else"),
    ("cgroup.own", "cgroup.own = 'x'", "1:14: cgroup.own is \"x\", and must be true or false, without quotes", "a_service_has_a_leaf_as_long_as_it_lives"),
    ("cgroup.memory-max", "cgroup.memory-max = '1 GB of it'", "1:21: cgroup.memory-max is \"1 GB of it\", and must be a size such as \"64MiB\", a number of bytes, or \"max\"", "each_key_of_cgroup_is_written_where_the_controller_is_there"),
    ("cgroup.memory-high", "cgroup.memory-high = -1", "1:22: cgroup.memory-high is -1, and must be a size such as \"64MiB\", a number of bytes, or \"max\"", "each_key_of_cgroup_is_written_where_the_controller_is_there"),
    ("cgroup.swap-max", "cgroup.swap-max = true", "1:19: cgroup.swap-max is true, and must be a size such as \"64MiB\", a number of bytes, or \"max\"", "each_key_of_cgroup_is_written_where_the_controller_is_there"),
    ("cgroup.cpu-max", "cgroup.cpu-max = '0%'", "1:18: cgroup.cpu-max is \"0%\", and must be a number of processors such as 1.5, a part of one such as \"50%\", or \"max\"", "each_key_of_cgroup_is_written_where_the_controller_is_there"),
    ("cgroup.cpu-weight", "cgroup.cpu-weight = 0", "1:21: cgroup.cpu-weight is 0, and must be a number from 1 to 10000, without quotes", "each_key_of_cgroup_is_written_where_the_controller_is_there"),
    ("cgroup.io-weight", "cgroup.io-weight = 10001", "1:20: cgroup.io-weight is 10001, and must be a number from 1 to 10000, without quotes", "each_key_of_cgroup_is_written_where_the_controller_is_there"),
    ("cgroup.pids-max", "cgroup.pids-max = 'many'", "1:19: cgroup.pids-max is \"many\", and must be a number or \"max\"", "each_key_of_cgroup_is_written_where_the_controller_is_there"),
    ("cgroup.set", "cgroup.set = { 'memory' = 1 }", "1:16: cgroup.set has \"memory\", which is no file of a controller, as memory.max is", "svc_makes_room_for_controllers_and_moves_nobody_else"),
    ("optional", "optional = ['user']", "1:13: optional has \"user\", which is unknown: write names", "what_is_refused_and_optional_is_left_out_with_a_line"),
    ("limits", "limits = { nofiles = 3 }", "1:12: limits has \"nofiles\", which is unknown: did you mean nofile?", "masks_limits_and_niceness_are_set"),
    ("condition.env", "condition.env = ['=']", "1:18: condition.env has \"=\", and must have NAME, NAME=VALUE or NAME=~EXPRESSION", "each_condition_holds_or_says_why_not"),
    ("condition.file", "condition.file = 3", "1:18: condition.file is 3, and must be a text in quotes", "each_condition_holds_or_says_why_not"),
    ("condition.command", "condition.command = ''", "1:21: condition.command names no program: write \"! grep -q off /etc/web.conf\"", "each_condition_holds_or_says_why_not"),
    ("condition.profile", "condition.profile = 3", "1:21: condition.profile is 3, and must be a text in quotes", "each_condition_holds_or_says_why_not"),
    ("condition.arch", "condition.arch = 'vax'", "1:18: condition.arch has \"vax\", which is unknown: there are x86_64", "each_condition_holds_or_says_why_not"),
    ("condition.link", "condition.link = 'a b'", "1:18: condition.link has \"a b\", and must have the name that a container is linked by", "each_condition_holds_or_says_why_not"),
    ("condition.otherwise", "condition.otherwise = 'stop'", "1:23: condition.otherwise must be one of skip, fail, and is \"stop\"", "what_depends_on_a_skipped_one_starts_or_is_blocked"),
    ("wait-for", "wait-for = ['db']", "1:13: wait-for has \"db\", which is no endpoint: write tcp://HOST:PORT, http://HOST:PORT/PATH, dns:NAME, unix:PATH or file:PATH", "an_endpoint_outside_is_waited_for_in_a_state_of_its_own"),
    ("wait-timeout", "wait-timeout = 5", "1:16: wait-timeout is 5, and must be a time with its unit", "a_wait_ends_at_once_with_a_stop_and_fails_after_its_time"),
    ("watch", "watch = 3", "1:9: watch is 3, and must be a text in quotes", "a_watched_file_reloads_or_restarts"),
    ("on-change", "on-change = 'stop'", "1:13: on-change must be one of reload, restart, and is \"stop\"", "a_watched_file_reloads_or_restarts"),
    ("apply", "apply = 'atuo'", "1:9: apply must be one of asked, auto, and is \"atuo\"", "edits_count_by_themselves_where_that_is_asked_for"),
    ("success-exits", "success-exits = [256]", "1:18: success-exits is 256, and must be an exit code from 0 to 255, or a signal that kill -l knows in quotes", "dinit_on_failure_goes_by_exit_codes_and_signals"),
    ("restart.when", "restart.when = 'sometimes'", "1:16: restart.when must be one of always, on-failure, never, and is \"sometimes\"", "horust_restart_never_and_on_failure"),
    ("restart.never-on", "restart.never-on = ['7']", "1:21: restart.never-on is \"7\", and must be an exit code from 0 to 255, or a signal that kill -l knows in quotes", "dinit_on_failure_goes_by_exit_codes_and_signals"),
    ("restart.always-on", "restart.always-on = [true]", "1:22: restart.always-on is true, and must be an exit code from 0 to 255, or a signal that kill -l knows in quotes", "dinit_on_failure_goes_by_exit_codes_and_signals"),
    ("restart.delay", "restart.delay = 1", "1:17: restart.delay is 1, and must be a time with its unit (ms, s, m, h or d), and more than 0", "a_delay_is_as_long_as_it_says_and_chance_makes_it_another_one"),
    ("restart.factor", "restart.factor = 0.5", "1:18: restart.factor is 0.5, and must be a number from 1 to 100", "pebble_back_off_grows_to_its_cap_and_is_told"),
    ("restart.max-delay", "restart.max-delay = 'x'", "1:21: restart.max-delay is \"x\", and must be a time with its unit (ms, s, m, h or d), and more than 0", "a_delay_grows_to_its_cap_and_no_further"),
    ("restart.jitter", "restart.jitter = 2", "1:18: restart.jitter is 2, and must be a number from 0 to 1", "a_delay_is_as_long_as_it_says_and_chance_makes_it_another_one"),
    ("restart.reset-after", "restart.reset-after = '1'", "1:23: restart.reset-after is \"1\", and must be a time with its unit (ms, s, m, h or d), and more than 0", "a_long_run_begins_a_new_series_of_delays"),
    ("restart.limit", "restart.limit = 17", "1:17: restart.limit is 17, and must be a number from 1 to 16, without quotes", "dinit_a_used_up_restart_limit_fails_and_a_manual_start_works"),
    ("restart.window", "restart.window = '0s'", "1:18: restart.window is \"0s\", and must be a time with its unit (ms, s, m, h or d), and more than 0", "a_limit_counts_the_ends_within_its_window"),
    ("restart.at-limit", "restart.at-limit = { stop = 3 }", "1:22: restart.at-limit has \"stop\", which is unknown: there are run, stop-container", "at_the_limit_a_command_runs_in_the_environment_of_the_service"),
    ("essential", "essential = { code = 256 }", "1:22: essential: code is 256, and must be a number from 0 to 255, without quotes", "an_essential_service_ends_the_container"),
    ("env-allow", "env-allow = 3", "1:13: env-allow is 3, and must be a text in quotes", "who_gets_which_variables"),
    ("env-deny", "env-deny = ['']", "1:13: env-deny has \"\", which stands for no variable: write a name, or several as \"DB_*\"", "who_gets_which_variables"),
    ("env-dir", "env-dir = 3", "1:11: env-dir is 3, and must be a text in quotes", "who_gets_which_variables"),
    ("links", "links = 3", "1:9: links is 3, and must be a text in quotes", "a_link_beats_the_variable_also_where_few_are_allowed"),
    ("secret-variables", "secret-variables = ['A=B']", "1:21: secret-variables has \"A=B\", which stands for no variable: write a name, or several as \"DB_*\"", "secrets_come_from_files_and_stand_nowhere_else"),
    ("secrets", "secrets = { A = 3 }", "1:17: secrets.A is 3, and must be the path of a file in quotes, such as { DB_PASSWORD = \"db-password\" }", "secrets_come_from_files_and_stand_nowhere_else"),
    ("credentials", "credentials = { 'a/b' = 'x' }", "1:17: credentials has \"a/b\", which is no name of a credential: write one without / and =", "secrets_come_from_files_and_stand_nowhere_else"),
    ("certificates", "certificates = 3", "1:16: certificates is 3, and must be a text in quotes", "certificates_are_added_to_a_bundle_of_its_own"),
    ("volumes", "volumes = [{ mode = '0755' }]", "1:12: volumes has an entry without path", "volumes_belong_to_the_user_under_other_numbers"),
    ("templates", "templates = [{ from = 'a' }]", "1:14: templates has an entry without to", "templates_are_rendered_when_something_changes"),
    ("distributions", "distributions = [{ from = '/a' }]", "1:18: distributions has an entry without to", "a_distribution_is_put_in_place_and_updated_while_its_server_runs"),
    ("json", "json = 3", "1:8: json is 3, and must be a text in quotes", "each_mistake_is_told_by_name_and_cured_by_what_comes_in_its_place"),
    ("uid", "uid = 'x y'", "1:7: uid is \"x y\", and must be a number from 0 to 4294967294, without quotes", "volumes_belong_to_the_user_under_other_numbers"),
    ("gid", "gid = '${NO_GID:-x}'", "1:7: gid is \"x\", by \"${NO_GID:-x}\", and must be a number from 0 to 4294967294, without quotes", "volumes_belong_to_the_user_under_other_numbers"),
    ("marker", "marker = 3", "1:10: marker is 3, and must be a text in quotes", "what_has_a_marker_is_done_once"),
    ("ready.exec", "ready.exec = ''", "1:14: ready.exec names no program: write \"pg_isready -q\"", "a_command_that_succeeds"),
    ("ready.tcp", "ready.tcp = 'here'", "1:13: ready.tcp: here: must be HOST:PORT", "a_port_that_takes_connections"),
    ("ready.http", "ready.http = 'https://x/'", "1:14: ready.http: https://x/: svc speaks no TLS: name a plain port, or use exec with curl", "status_header_and_body_must_be_as_is_said"),
    ("ready.unix", "ready.unix = ''", "1:14: ready.unix is \"\", and must be a path", "a_socket"),
    ("ready.file", "ready.file = 3", "1:14: ready.file is 3, and must be a text in quotes", "a_file_of_this_start"),
    ("ready.log", "ready.log = '('", "1:13: ready.log has a ( without its )", "a_line_of_output"),
    ("ready.interval", "ready.interval = '0s'", "1:18: ready.interval is \"0s\", and must be a time with its unit (ms, s, m, h or d), and more than 0", "looks_are_as_far_apart_and_as_long_as_is_said"),
    ("ready.timeout", "ready.timeout = 5", "1:17: ready.timeout is 5, and must be a time with its unit (ms, s, m, h or d), and more than 0", "looks_are_as_far_apart_and_as_long_as_is_said"),
    ("ready.notify", "ready.notify = 'some'", "1:16: ready.notify must be one of main, all, and is \"some\"", "only_those_may_speak_who_are_named"),
    ("watchdog", "watchdog = '0s'", "1:12: watchdog is \"0s\", and must be a time with its unit (ms, s, m, h or d), and more than 0", "a_watchdog_must_be_fed"),
    ("health.exec", "health.exec = 3", "1:15: health.exec is 3, and must be a list of words, or one text", "every_kind_of_probe_looks"),
    ("health.tcp", "health.tcp = ':0x50'", "1:14: health.tcp: :0x50: must be HOST:PORT", "every_kind_of_probe_looks"),
    ("health.http", "health.http = { url = 'http://x/', status = 99 }", "1:45: health.http: status: 99: must be statuses", "status_header_and_body_must_be_as_is_said"),
    ("health.unix", "health.unix = 3", "1:15: health.unix is 3, and must be a text in quotes", "every_kind_of_probe_looks"),
    ("health.file", "health.file = ''", "1:15: health.file is \"\", and must be a path", "every_kind_of_probe_looks"),
    ("health.interval", "health.interval = '0s'", "1:19: health.interval is \"0s\", and must be a time with its unit (ms, s, m, h or d), and more than 0", "the_end_of_each_look_is_noticed"),
    ("health.timeout", "health.timeout = 5", "1:18: health.timeout is 5, and must be a time with its unit (ms, s, m, h or d), and more than 0", "a_look_that_hangs_is_killed_and_there_is_never_a_second_one"),
    ("health.start-period", "health.start-period = '1'", "1:23: health.start-period is \"1\", and must be a time with its unit", "failures_of_the_start_period_do_not_count"),
    ("health.failures", "health.failures = 0", "1:19: health.failures is 0, and must be a number from 1 to 1000, without quotes", "fewer_failures_in_a_row_than_are_said_are_none"),
    ("health.successes", "health.successes = 1001", "1:20: health.successes is 1001, and must be a number from 1 to 1000, without quotes", "so_many_successes_are_needed"),
    ("health.action", "health.action = 'kill'", "1:17: health.action must be one of report, restart, reload, stop-container, and is \"kill\"", "an_unhealthy_service_is_restarted_or_reloaded"),
    ("memory.limit", "memory.limit = 'max'", "1:16: memory.limit is \"max\", and must be a size such as \"256MiB\", or a number of bytes", "a_service_that_grows_is_restarted_and_why_says_so_ever_after"),
    ("memory.interval", "memory.interval = '0s'", "1:19: memory.interval is \"0s\", and must be a time with its unit (ms, s, m, h or d), and more than 0", "one_that_grows_again_and_again_is_restarted_as_its_policy_says"),
    ("memory.action", "memory.action = 'kill'", "1:17: memory.action must be one of report, restart, reload, stop-container, and is \"kill\"", "a_report_is_an_event_and_no_more_and_a_reload_may_help"),
];

#[test]
fn every_key_stands_in_the_table_once() {
    let rows: Vec<&str> = TABLE.iter().map(|(key, ..)| *key).collect();
    let table: BTreeSet<String> = rows.iter().map(|key| (*key).to_owned()).collect();
    let known: BTreeSet<String> = keys().into_iter().collect();
    let missing: Vec<&String> = known.difference(&table).collect();
    assert!(missing.is_empty(), "give these a wrong value and a test of their effect in a running system: {missing:?}");
    assert_eq!((table.len(), table), (rows.len(), known), "a row is there twice, or of no key");
}

#[test]
fn a_wrong_value_of_each_key_is_told_with_its_place_and_what_would_be_right() {
    for (key, line, told, _) in TABLE {
        let found = problems(&format!("{line}\n{}\n", frame(key)));
        assert!(found.iter().any(|said| said.starts_with(told)), "{key}: {line}: {told:?} is not in {found:?}");
        assert!(told.starts_with("1:") && told.contains(key), "{key}: what is told names the place and the key: {told:?}");
    }
}

#[test]
fn every_key_has_prose() {
    let page = include_str!("../../../../docs/man/service.toml.5").replace("\\-", "-");
    for (key, ..) in TABLE {
        assert!(page.contains(&format!("\n.B {key}\n")), "{key} has no entry in docs/man/service.toml.5");
    }
}

/// All tests that run a whole svc: the text of each file, with what stands in it.
fn sources(dir: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("the tests of crates/svc").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push(std::fs::read_to_string(path).expect("text"));
        }
    }
}

#[test]
fn every_key_has_a_test_of_its_effect_in_a_running_system() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../svc/tests"), &mut all);
    // A test ends with the first brace at the beginning of a line; an escaped newline is no letter of the word behind it.
    let tests: Vec<(&str, String)> = all
        .iter()
        .flat_map(|text| text.split("#[test]\n").skip(1))
        .filter_map(|part| part.trim_start().strip_prefix("fn ")?.split_once('('))
        .map(|(name, rest)| (name, rest.split("\n}\n").next().unwrap_or(rest).replace("\\n", " ")))
        .collect();
    for (key, _, _, test) in TABLE {
        let bodies: Vec<&String> = tests.iter().filter(|(name, _)| name == test).map(|(_, body)| body).collect();
        assert!(!bodies.is_empty(), "{key}: there is no test {test} in crates/svc/tests");
        let last = key.rsplit('.').next().unwrap_or(key);
        let has_it = |body: &&String| {
            body.split(|c: char| !c.is_alphanumeric() && !"-_".contains(c)).any(|word| word.eq_ignore_ascii_case(last))
        };
        assert!(bodies.iter().any(has_it), "{key}: {test} does not name it");
    }
}

/// A kernel that shares its controllers out to nobody says nothing of what a limit does: a machine of its own does (tests/vm).
#[test]
fn every_limit_of_a_cgroup_has_a_check_in_a_kernel_of_its_own() {
    let checks = include_str!("../../../../tests/vm/guest/checks/cgroups");
    for key in TABLE.iter().filter_map(|(key, ..)| key.strip_prefix("cgroup.")) {
        let elsewhere = matches!(key, "own" | "delegate");
        let name = if key == "set" { "cgroup.set" } else { key };
        let told =
            ["in the kernel's file", "nothing is left"].iter().any(|what| checks.contains(&format!("{name}: {what}")));
        assert!(elsewhere || told, "cgroup.{key}: there is no check \"{name}: ...\" in tests/vm/guest/checks/cgroups");
    }
}
