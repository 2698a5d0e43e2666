//! SIGKILL to svc-log under load, and a reader who does not read: no line is lost.

use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use svc_testkit::{Chance, Tree, amount, has_program, is_alive, kill, needs, until};

use crate::chaos::{appending, numbering};
use crate::common::{alone, assert_gapless, collect, counted, counting, lines, status};

/// About 10 MB/s of lines of 100 bytes, in writes of 40 lines, to standard output or error.
fn flood(word: &str, output: &str) -> String {
    format!(
        "my ($n, $pad) = (0, 'x' x 80);\nwhile (1) {{\n  my $block = '';\n  for (1 .. 40) {{ $n++; $block .= \"{word} $n $pad\\n\"; }}\n  \
         my $done = 0;\n  while ($done < length $block) {{ $done += syswrite({output}, $block, length($block) - $done, $done); }}\n  \
         sleep(0.0002);\n}}\n"
    )
}

/// Runs what follows with a terminal as its standard output, whose other side it closes when there is a file `hang-up`.
const TERMINAL: &str = "import os, pty, signal, subprocess, sys, time
master, slave = pty.openpty()
child = subprocess.Popen(sys.argv[2:], stdout=slave)
os.close(slave)
signal.signal(signal.SIGTERM, lambda *_: child.terminate())
os.set_blocking(master, False)
while not os.path.exists(sys.argv[1] + '/hang-up'):
    time.sleep(0.01)
    try: os.read(master, 65536)
    except BlockingIOError: pass
os.close(master)
open(sys.argv[1] + '/hung-up', 'w')
sys.exit(child.wait())
";

/// As with a pipe that nobody reads any more: whoever writes goes on, and what he writes is in the memory that `svc-ctl logs` reads.
#[test]
fn a_terminal_that_hangs_up_stops_nobody() {
    if !needs("python3", has_program("python3")) {
        return;
    }
    let mut tree = Tree::new();
    tree.wrapper(&["python3", "-c", TERMINAL, &tree.root().display().to_string()]);
    // More than is in any pipe.
    let much = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); echo \"line $i of many that are written here, one after the other\"; done";
    tree.service("web").run(&format!("until test -e ../../hung-up; do sleep 0.01; done; {much}; : >done; exec sleep 1000"));
    tree.start();
    tree.await_up("web");
    std::fs::write(tree.path("hang-up"), "").expect("ours");
    until("all to be written", || tree.services().join("web/done").exists().then_some(()));
    until("the last of it", || tree.ctl_ok(&["logs", "-n", "1", "web"]).contains("line 40000 of many").then_some(()));
    tree.ctl_ok(&["restart", "web"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killed_under_load_it_loses_no_line() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut chance = Chance::new();
    let mut tree = Tree::new();
    tree.service("flood").executable("run", &(alone(&tree, "flood") + &flood("flood", "STDOUT")));
    tree.service("calm").executable("run", &(alone(&tree, "calm") + &numbering("calm")));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    tree.stdout(writer);
    let reader = std::thread::spawn(move || {
        let (mut last, mut calm, mut bytes) = (0_u64, Vec::new(), 0_u64);
        let mut reader = BufReader::with_capacity(1 << 20, reader);
        let mut line = String::new();
        while reader.read_line(&mut line).expect("text") > 0 {
            bytes += line.len() as u64;
            let mut words = line.split_ascii_whitespace();
            match (words.next(), words.next().and_then(|word| word.parse::<u64>().ok())) {
                (Some("flood"), Some(number)) => {
                    assert_eq!(number, last + 1, "{line:?}");
                    assert_eq!(words.next().map(str::len), Some(80), "a whole line: {line:?}");
                    last = number;
                }
                (Some("calm"), Some(_)) => calm.push(line.trim_end().to_owned()),
                _ => panic!("a broken line behind {last}: {line:?}"),
            }
            line.clear();
        }
        (last, calm, bytes)
    });
    tree.start();
    let (flood, calm) = (tree.await_up("flood"), tree.await_up("calm"));
    let begin = Instant::now();
    for _ in 0..14 {
        let log = tree.process("svc-log");
        // Having lived for a second it comes back at once, so both are tried.
        std::thread::sleep(Duration::from_millis(chance.below(1500)));
        kill(log, "KILL");
        svc_testkit::wait_gone(log);
    }
    tree.process("svc-log");
    let time = begin.elapsed();
    assert!(is_alive(flood) && is_alive(calm), "a producer died");
    assert!(tree.ctl_ok(&["logs", "-n", "1", "calm"]).contains("calm"));
    assert_eq!(tree.stop(), 0);
    let (last, calm, bytes) = reader.join().expect("no gap, no duplicate, no broken line");
    println!("{last} lines, {} MB in {time:?}", bytes / 1_000_000);
    assert!(last > 10_000, "{last} lines");
    assert!(assert_gapless(&calm, "calm") > 100);
}

#[test]
fn standard_error_survives_it_as_well() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    // With a logger, so that standard error alone is svc-log's.
    let mut tree = Tree::new();
    let numbering = numbering("err").replace("STDOUT", "STDERR");
    tree.service("web").executable("run", &(alone(&tree, "web") + &numbering));
    tree.service("web/log").run("exec cat > /dev/null");
    tree.start();
    tree.await_up("web");
    for _ in 0..5 {
        let seen = lines(&tree.path("log")).len();
        until("some more lines", || (lines(&tree.path("log")).len() > seen + 20).then_some(()));
        kill(tree.process("svc-log"), "KILL");
    }
    assert_eq!(tree.stop(), 0);
    // The log is a file, where a line may come twice, and never not at all.
    let mut numbers: Vec<u64> = tree.log().lines().filter_map(|line| line.strip_prefix("err ")?.parse().ok()).collect();
    let first: Vec<u64> = numbers.iter().copied().filter(|&number| number <= 3).collect();
    assert!(first.starts_with(&[1, 2, 3]), "{first:?}");
    numbers.sort_unstable();
    numbers.dedup();
    assert!(numbers.len() > 100);
    assert_eq!(numbers.last().copied(), Some(numbers.len() as u64), "no gap");
}

/// Half a line is in the pipe, and one write brings more than the pipe holds: nobody waits until the line has waited long enough.
#[test]
fn a_large_write_behind_half_a_line_does_not_wait() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let run = "use Time::HiRes qw(time sleep); $| = 1;\nfor (1 .. 5) {\n  syswrite(STDOUT, 'half a line');\n  sleep(0.1);\n  \
               my ($begin, $block, $done) = (time, ('x' x 204800) . \"\\n\", 0);\n  \
               while ($done < length $block) { $done += syswrite(STDOUT, $block, length($block) - $done, $done); }\n  \
               open(my $took, '>>', 'took'); print $took int(1000 * (time - $begin)), \"\\n\"; close($took);\n}\nsleep(1000);\n";
    let mut tree = Tree::new();
    tree.service("web").executable("run", &format!("#!/usr/bin/perl\n{run}"));
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    tree.stdout(writer);
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    tree.start();
    tree.await_lines("web/took", 5);
    // One that the machine had no time for is no stall; a stall lasts for most of a second each time.
    let least = tree.lines("web/took").iter().map(|line| line.parse::<u64>().expect("a number")).min();
    assert!(least < Some(500), "{:?} ms", tree.lines("web/took"));
}

#[test]
fn nobody_reads_then_the_producer_waits_and_nothing_is_lost() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    let written = tree.path("written");
    let program = format!(
        "my $n = 0;\nopen(my $count, '>', '{}');\n$SIG{{TERM}} = sub {{ exit 0 }};\n\
         while (1) {{ $n++; syswrite(STDOUT, \"w $n\\n\"); sysseek($count, 0, 0); syswrite($count, \"$n\\n\"); }}\n",
        written.display()
    );
    tree.service("web").executable("run", &(alone(&tree, "web") + &program));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    tree.stdout(writer).start();
    let pid = tree.await_up("web");
    let count = || lines(&written).first().and_then(|line| line.parse::<u64>().ok()).unwrap_or(0);
    // Blocked: nothing is written over several looks.
    let mut last = 0;
    let mut same = 0;
    until("the producer to wait", || {
        std::thread::sleep(Duration::from_millis(20));
        same = if count() == last && last > 0 { same + 1 } else { 0 };
        last = count();
        (same > 20).then_some(())
    });
    assert!(is_alive(pid));
    assert!(last < 100_000, "{last} lines fit into pipes?");
    // Killing svc-log helps nobody, and harms nobody; control goes on.
    kill(tree.process("svc-log"), "KILL");
    tree.process("svc-log");
    assert_eq!(status(&tree, "web").pid, Some(pid));
    tree.ctl_ok(&["status"]);
    let reader = collect(reader);
    until("it to go on", || (count() > last + 1000).then_some(()));
    assert_eq!(tree.stop(), 0);
    let told = reader.join().expect("read");
    let number = assert_gapless(&told, "w");
    assert!(number >= count(), "{number} lines of {} came", count());
}

/// Short lines have filled the pipe of a reader that has paused, each with a page of its own. What waits behind them at the end is in the
/// pipe as well when svc has ended, and nobody has waited for the reader.
#[test]
fn a_reader_that_pauses_over_the_end_finds_all_lines() {
    let mut tree = Tree::new();
    let run = "for i in $(seq 60); do echo w $i; sleep 0.01; done; echo >seen; exec sleep 1000";
    tree.service("web").run(run);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    tree.set("SVC_STOP_TIMEOUT", "3600").stdout(writer).start();
    tree.await_lines("web/seen", 1);
    // Its successor finds the pipe as full.
    kill(tree.process("svc-log"), "KILL");
    assert_eq!(tree.stop(), 0);
    assert!(!tree.log().contains("lost"), "{}", tree.log());
    let told = collect(reader).join().expect("read");
    assert_eq!(assert_gapless(&told, "w"), 60);
}

/// The reader lives and does not read: the budget is spent on it, and then it is told whose lines went with it.
#[test]
fn nobody_reads_until_the_end_and_the_loss_is_told() {
    let mut tree = Tree::new();
    tree.service("web").run("while :; do echo 'a line of web'; done");
    tree.service("calm").run("exec sleep 1000");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // What svc would make of it at the end: there is no more room to be had.
    svc_sys::fd::widen_pipe(reader.as_raw_fd()).expect("room for one more large pipe");
    tree.set("SVC_STOP_TIMEOUT", "2s").stdout(writer).start();
    tree.await_up("calm");
    let pid = tree.await_up("web");
    // It sleeps in a write that has no room.
    svc_testkit::wait_idle(pid, Duration::from_millis(500));
    assert_eq!(tree.stop(), 0);
    let log = tree.log();
    let told = log.lines().find(|line| line.contains("lost are the last lines of")).unwrap_or_else(|| panic!("{log}"));
    assert!(told.contains("of web (") && told.contains(" bytes)") && !told.contains("calm"), "{told}");
    drop(reader);
}

/// There is nobody who could read, and would only have to.
#[test]
fn a_disk_that_is_full_at_the_end_is_told_as_that() {
    let mut tree = Tree::new();
    tree.service("web").run("echo 'a line of web'; echo >seen; exec sleep 1000");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is on each machine");
    tree.set("SVC_STOP_TIMEOUT", "2s").stdout(full).start();
    tree.await_lines("web/seen", 1);
    assert_eq!(tree.stop(), 0);
    let log = tree.log();
    let told = "standard output or error could not be written: lost are the last lines of web (14 bytes): its disk is full, or fails";
    assert!(log.contains(told), "{log}");
}

#[test]
fn standard_output_is_closed_and_svc_lives() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").executable("run", &(alone(&tree, "web") + &numbering("w")));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    tree.stdout(writer).start();
    let pid = tree.await_up("web");
    drop(reader);
    // The last lines are kept, so the producer is not stuck.
    let newest = || {
        let output = tree.ctl_ok(&["logs", "-n", "1", "web"]);
        output.split_ascii_whitespace().last()?.parse::<u64>().ok()
    };
    let seen = until("a line", newest);
    until("more lines", || newest().filter(|&now| now > seen + 500));
    kill(tree.process("svc-log"), "KILL");
    let seen = until("a line", newest);
    until("more lines", || newest().filter(|&now| now > seen + 500));
    assert_eq!(status(&tree, "web").pid, Some(pid));
    assert_eq!(tree.stop(), 0);
    assert!(!is_alive(pid));
}

/// `2>file` of a shell opens without appending: who had a place of his own in the file wrote over what others had written.
#[test]
fn a_file_that_does_not_append_keeps_every_line() {
    let mut tree = Tree::new();
    let run = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo \"w $i\" >&2; [ $((i % 30)) != 0 ] || sleep 0.05; done; echo done >done; exec sleep 1000";
    tree.service("web").run(run);
    tree.service("bad").run("exec sleep 1000").file("timeout-kill", "soon\n");
    let (log, errors) = (tree.path("log"), tree.path("errors"));
    let script = format!("exec \"$@\" 2>{}", errors.display());
    tree.wrapper(&["sh", "-c", &script, "sh"]).start();
    tree.await_up("web");
    // svc-init speaks of it, and supervisors of their files.
    for _ in 0..3 {
        kill(tree.process("svc-scan"), "KILL");
        tree.await_up("bad");
        tree.say(&["restart", "bad"]);
    }
    tree.await_lines("web/done", 1);
    assert_eq!(tree.stop(), 0);
    assert_eq!(lines(&log), Vec::<String>::new());
    let lines = lines(&errors);
    let (ours, theirs): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with("svc-"));
    let numbers: Vec<String> = (1..=300).map(|number| format!("w {number}")).collect();
    assert!(theirs.into_iter().eq(&numbers), "{lines:?}");
    assert_eq!(ours.iter().filter(|line| line.contains("svc-init: svc-scan ended")).count(), 3, "{lines:?}");
}

/// Promise 9: the pipe of a pair survives producer, logger and both supervisors, killed in any order.
#[test]
fn promise_9_the_pipe_of_a_pair_survives_everybody() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut chance = Chance::new();
    let mut tree = Tree::new();
    tree.service("web").executable("run", &(alone(&tree, "web") + &counting(&tree, "$$", "sleep(0.001);")));
    // Killed between reading and writing a logger loses what it has read. This one moves lines from the pipe into the file in
    // one system call (splice, 275 on amd64 and 76 on arm64), so what is lost would be lost by us.
    let number = if cfg!(target_arch = "x86_64") { 275 } else { 76 };
    let logger = format!(
        "open(my $out, '+<', '{}');\nsysseek($out, 0, 2);\nwhile (1) {{\n  my $moved = syscall({number}, 0, 0, fileno($out), 0, 4096, 0);\n  \
         exit 0 if $moved == 0;\n}}\n",
        tree.path("out").display()
    );
    std::fs::write(tree.path("out"), "").expect("written");
    tree.service("web/log").executable("run", &(alone(&tree, "web-log") + &logger));
    // The logger has time to read all, on a busy machine too.
    tree.set("SVC_STOP_TIMEOUT", "30").start();
    tree.await_up("web");
    tree.await_up("web/log");
    let mut lives = 1;
    for _ in 0..amount(60, 1000) {
        let victim = match chance.below(4) {
            0 => tree.status("web").and_then(|status| status.pid).inspect(|_| lives += 1),
            1 => tree.status("web/log").and_then(|status| status.pid),
            2 => tree.supervisor("web"),
            _ => tree.supervisor("web/log"),
        };
        if let Some(pid) = victim {
            kill(pid, "KILL");
        }
        std::thread::sleep(Duration::from_millis(chance.below(120)));
    }
    until("a logger", || tree.status("web/log")?.pid.filter(|&pid| is_alive(pid)));
    assert_eq!(tree.stop(), 0);
    crate::common::assert_alone(&tree);
    let (mut life, mut last, mut seen) = (String::new(), 0, 0);
    for line in lines(&tree.path("out")) {
        let (pid, number) = line.split_once(' ').unwrap_or_else(|| panic!("a broken line: {line:?}"));
        let number: u64 = number.parse().unwrap_or_else(|_| panic!("a broken line: {line:?}"));
        // The first line of a life may be one that the last life did not come to count any more.
        let again = pid != life && number == last;
        assert!(number == last + 1 || again, "{pid}: {number} follows {last} of {life}");
        if pid != life {
            (life, seen) = (pid.to_owned(), seen + 1);
        }
        last = number;
    }
    let counted = counted(&tree);
    assert!(last == counted || last == counted + 1, "the last line is {last}, {counted} were written");
    assert!(seen > 1 && seen <= lives, "{seen} of {lives} lives wrote");
}

/// Promise 11: a logger that does not read stops its producer, and nothing is lost.
#[test]
fn promise_11_a_logger_that_waits_blocks_its_producer() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").executable("run", &(alone(&tree, "web") + &counting(&tree, "w", "")));
    tree.service("web/log").executable("run", &(alone(&tree, "web-log") + &appending(&tree, "out")));
    // The logger has time to read all, on a busy machine too.
    tree.set("SVC_STOP_TIMEOUT", "30").start();
    let pid = tree.await_up("web");
    let size = || std::fs::metadata(tree.path("out")).map_or(0, |data| data.len());
    until("lines", || (size() > 1000).then_some(()));
    // It writes before svc-scan has heard of it.
    tree.await_up("web/log");
    tree.ctl_ok(&["pause", "web/log"]);
    // It waits in the write of the pipe, and uses no time any more.
    let written = || svc_testkit::switches(pid);
    let mut before = written();
    until("the producer to wait", || {
        std::thread::sleep(Duration::from_millis(100));
        let now = written();
        (std::mem::replace(&mut before, now) == now).then_some(())
    });
    let stopped = size();
    tree.ctl_ok(&["continue", "web/log"]);
    until("more lines", || (size() > stopped + 100_000).then_some(()));
    assert_eq!(tree.stop(), 0);
    assert_eq!(assert_gapless(&lines(&tree.path("out")), "w"), counted(&tree), "to the last one");
}

/// Lines of two services that go into one pipe, which is always full: svc-log is killed in the middle of a line, as a rule.
#[test]
fn killed_in_the_middle_of_a_line_its_successor_goes_on_with_that_line() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    let words = ["one", "two"];
    for word in words {
        // Blocks that end in the middle of a page, and lines that do; the last one is written to its end.
        let program = format!(
            "my ($n, $pad, $end) = (0, 'x' x 1000, 0);\n$SIG{{TERM}} = sub {{ $end = 1 }};\nwhile (!$end) {{\n  my $block = '';\n  \
             for (1 .. 20) {{ $n++; $block .= \"{word} $n $pad\\n\"; }}\n  my $done = 0;\n  \
             while ($done < length $block) {{ $done += syswrite(STDOUT, $block, length($block) - $done, $done) // 0; }}\n}}\n"
        );
        tree.service(word).executable("run", &(alone(&tree, word) + &program));
    }
    let (reader, writer) = std::io::pipe().expect("a pipe");
    tree.stdout(writer);
    let reader = std::thread::spawn(move || {
        let mut reader = BufReader::with_capacity(2000, reader);
        let mut last = words.map(|word| (word, 0_u64));
        let mut line = String::new();
        while reader.read_line(&mut line).expect("text") > 0 {
            let mut parts = line.trim_end().split(' ');
            let (word, number) = (parts.next(), parts.next().and_then(|number| number.parse().ok()));
            assert_eq!(parts.next().map(str::len), Some(1000), "a broken line behind {last:?}: {line:?}");
            let known = last.iter_mut().find(|(known, _)| Some(*known) == word).expect("one of the two");
            assert_eq!(number, Some(known.1 + 1), "{line:?}");
            known.1 += 1;
            line.clear();
            std::thread::sleep(Duration::from_micros(100));
        }
        last
    });
    tree.start();
    let _ = words.map(|word| tree.await_up(word));
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(300));
        let log = tree.process("svc-log");
        kill(log, "KILL");
        svc_testkit::wait_gone(log);
    }
    tree.process("svc-log");
    assert_eq!(tree.stop(), 0);
    let last = reader.join().expect("whole lines, without a gap");
    println!("{last:?}");
    assert!(last.iter().all(|&(_, number)| number > 100), "{last:?}");
}

/// One that writes as fast as it can into an output that is read slowly does not keep the lines of others back.
#[test]
fn nobody_writes_so_much_that_others_are_not_heard() {
    let mut tree = Tree::new();
    for name in ["a-loud", "m-quiet", "z-loud"] {
        let program = if name == "m-quiet" { "echo here I am; exec sleep 1000" } else { "exec yes `printf '%01000d' 7`" };
        tree.service(name).file("down", "").run(program);
    }
    let (reader, writer) = std::io::pipe().expect("a pipe");
    tree.stdout(writer);
    let (heard, hear) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut reader = BufReader::with_capacity(2000, reader);
        let (mut line, mut after) = (String::new(), 0);
        while reader.read_line(&mut line).expect("text") > 0 {
            after += 1;
            if line == "here I am\n" {
                heard.send(after).expect("somebody waits");
            }
            line.clear();
            std::thread::sleep(Duration::from_micros(100));
        }
    });
    tree.start();
    for name in ["a-loud", "z-loud", "m-quiet"] {
        tree.ctl_ok(&["start", name]);
    }
    let after = hear.recv_timeout(svc_testkit::PATIENCE).expect("the line of the quiet one");
    println!("after {after} lines");
    assert_eq!(tree.stop(), 0);
    reader.join().expect("text");
}
