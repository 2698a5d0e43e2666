//! The same script and the same input: the same files, the same output.

use svc_testkit::{has_program, needs};

use super::{Made, Place, feed, logs, ours, theirs};

/// Stamps become one letter a digit.
fn without_stamps(text: &str) -> String {
    let mut words = Vec::new();
    for line in text.split('\n') {
        let parts: Vec<String> = line
            .split(' ')
            .map(|word| {
                let is_stamp = word.len() == 25 && word.starts_with('@');
                let is_time = word.len() >= 10 && word.starts_with("20") && word[4..5] == *"-";
                let is_hour = word.len() == 18 && word[2..3] == *":" && word[8..9] == *".";
                if is_stamp || is_time || is_hour { format!("<{}>", word.len()) } else { word.to_owned() }
            })
            .collect();
        words.push(parts.join(" "));
    }
    words.join("\n")
}

/// What the program says and leaves in its directories and its status file.
fn result(program: &str, is_ours: bool, words: &[&str], input: &[u8]) -> (Made, Vec<(String, u32, String)>) {
    let place = Place::new(&format!("differential-{program}-{is_ours}"));
    let mut command = if is_ours { ours(program, words) } else { theirs(program, words) };
    command.current_dir(place.path());
    let made = feed(&mut command, input);
    let made = Made { out: without_stamps(&made.out), err: without_stamps(&made.err), ..made };
    let mut files = Vec::new();
    for dir in ["one", "two"] {
        if place.join(dir).exists() {
            for log in logs(&place.join(dir)) {
                let name = if log.name == "current" { log.name } else { log.name[25..].to_owned() };
                files.push((format!("{dir}/{name}"), log.mode, without_stamps(&String::from_utf8_lossy(&log.bytes))));
            }
        }
    }
    if let Ok(status) = std::fs::read_to_string(place.join("status")) {
        files.push(("status".into(), 0, without_stamps(&status)));
    }
    (made, files)
}

#[track_caller]
fn same(program: &str, words: &[&str], input: &[u8]) {
    let (our, their) = (result(program, true, words, input), result(program, false, words, input));
    assert!(our == their, "{program} {words:?}: {:.2000} and {:.2000}", format!("{our:?}"), format!("{their:?}"));
}

/// The same, with the times.
#[track_caller]
fn exactly(program: &str, words: &[&str], input: &[u8]) {
    assert_eq!(feed(&mut ours(program, words), input), feed(&mut theirs(program, words), input), "{program} {words:?}");
}

const LINES: &[u8] = b"one\ntwo error here\n\nthree [x] warn: 7\nfour error\nerror five\nsix\n";

#[test]
fn s6_log_scripts() {
    if !needs("s6-log", has_program("s6-log")) {
        return;
    }
    for script in [
        "1",
        "t 1",
        "T 1",
        "t T 1 1",
        "pname: 1",
        "pname: t 1 p T 1",
        "-error 1",
        "-.* +error 1",
        "-.* +^error 1",
        "-.* +error$ 1",
        "-.* +(warn|[0-9]) 1 f ./one",
        "+error 1 f ./one",
        "- 1 f ./one",
        "-^$ 1 -six ./one - +two ./two",
        "f 1 f ./one",
        "2",
        "E5 2 E0 2 E1000 t 2",
        "pP: -.* +err 2 f 1",
        "=status",
        "^20 =status",
        "^4 =status",
        "^0 t =status 1",
        "-.* +warn =status f t ./one",
        "n3 s4096 l100 r10 S100000 ./one t ./two",
        "./one n2",
        "1 f",
    ] {
        let words: Vec<&str> = script.split(' ').collect();
        let words = if script.starts_with('-') { [&["--"], words.as_slice()].concat() } else { words };
        // What is ignored is said in other words.
        let quiet = [&["-q"], words.as_slice()].concat();
        same("s6-log", &quiet, LINES);
        same("s6-log", &quiet, b"");
        same("s6-log", &[&["-b"], quiet.as_slice()].concat(), b"a\n\nend\n");
    }
}

#[test]
fn the_last_line_needs_no_end() {
    // Debian's loses it where its standard input is a pipe.
    for (script, expected) in [("1", "no end\n"), ("pP: 1", "P: no end\n")] {
        let words: Vec<&str> = ["--"].into_iter().chain(script.split(' ')).chain(["./one"]).collect();
        let place = Place::new("no-end");
        let made = feed(ours("s6-log", &words).current_dir(place.path()), b"no end");
        assert_eq!((made.code, made.out.as_str(), made.err.as_str()), (Some(0), expected, ""));
    }
}

#[test]
fn s6_log_cuts_lines_where_debians_does() {
    if !needs("s6-log", has_program("s6-log")) {
        return;
    }
    for length in [47, 48, 49, 95, 96, 97, 144, 8191, 8192, 8193, 20_000, 100_000] {
        let line = "x".repeat(length);
        let input = format!("{line}\nnext\n");
        same("s6-log", &["-l", "48", "--", "s200000", "./one"], input.as_bytes());
        same("s6-log", &["-l", "1", "--", "t", "1"], input.as_bytes());
        same("s6-log", &["--", "s200000", "./one", "1"], input.as_bytes());
        same("s6-log", &["-l", "0", "--", "s200000", "./one"], input.as_bytes());
    }
    same("s6-log", &["./one", "1"], b"a\0b\0\0c\nd\0");
}

#[test]
fn s6_log_refuses_what_debians_refuses() {
    if !needs("s6-log", has_program("s6-log")) {
        return;
    }
    for words in [
        &[][..],
        &["f"],
        &["x"],
        &["11"],
        &["t1"],
        &["+(", "1"],
        &["nx", "1"],
        &["="],
        &["-d", "2", "1"],
        &["-d", "77", "1"],
        &["-l", "x", "1"],
        &["s4096", "l3000", "./one"],
    ] {
        let code = |is_ours| result("s6-log", is_ours, words, b"").0.code;
        assert_eq!((code(true), code(false)), (Some(100), Some(100)), "{words:?}");
    }
}

#[test]
fn multilog_and_svlogd_and_filters() {
    if needs("multilog", has_program("multilog")) {
        for script in
            ["t e", "-* +*error* e ./one", "t -*six ./one", "s4096 n3 ./one -* +one ./two", "-error* =status ./one"]
        {
            let words: Vec<&str> = script.split(' ').collect();
            same("multilog", &words, LINES);
            same("multilog", &words, b"a\nno end");
        }
    }
    if needs("tai64nlocal", has_program("tai64nlocal")) {
        exactly("tai64nlocal", &[], b"@4000000037c219bf2ef02e94 mark\nnothing\nno end");
    }
    if needs("s6-tai64nlocal", has_program("s6-tai64nlocal")) {
        let stamps: String =
            [0, 78_796_809, 78_796_810, 78_796_811, 867_715_229, 867_715_230, 867_715_231, 1_783_228_800_u64]
                .iter()
                .map(|second| format!("@{:016x}000000ff line\n", (1 << 62) + second))
                .collect();
        exactly("s6-tai64nlocal", &["-g"], format!("{stamps}@4000\nno end").as_bytes());
        exactly("s6-tai64nlocal", &[], stamps.as_bytes());
        same("s6-tai64n", &[], b"a\n\nno end");
    }
    if needs("ucspilogd", has_program("ucspilogd")) {
        let input = b"<13>hello\n@400000006b00514a385fa6ca <34>x\0plain\n<86>auth\n<999\n\n<1>end\n";
        same("ucspilogd", &["-D", "none", "HOME", "SURELY_NOT_SET"], input);
        same("ucspilogd", &[], input);
    }
}
