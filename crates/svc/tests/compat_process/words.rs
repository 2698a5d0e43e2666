//! Expressions: eltest and s6-test.

use std::process::Stdio;

use svc_testkit::{Said, spawn};

use super::{Scratch, assert_ours, ours, theirs};

/// The exit codes of both, for many expressions.
#[track_caller]
fn assert_same_codes(expressions: &[Vec<&str>]) {
    if theirs("eltest").is_none() {
        return;
    }
    let wrong: Vec<String> = expressions
        .iter()
        .filter_map(|words| {
            let [ours, theirs] = [Some(ours("eltest")), theirs("eltest")].map(|command| {
                let mut command = command.expect("looked at");
                command.args(words).stdin(Stdio::null()).stderr(Stdio::null());
                spawn(&mut command).and_then(|mut child| child.wait()).expect("it runs").code()
            });
            (ours != theirs).then(|| format!("{words:?}: ours {ours:?}, theirs {theirs:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), expressions.len(), wrong.join("\n"));
}

#[test]
fn every_expression_of_up_to_three_words() {
    const WORDS: [&str; 9] = ["a", "", "\\(", "-n", "=", "!", "-a", "(", ")"];
    let mut expressions = vec![Vec::new()];
    let mut longest = expressions.clone();
    for _ in 0..3 {
        longest = longest.iter().flat_map(|words| WORDS.map(|word| [words.as_slice(), &[word]].concat())).collect();
        expressions.extend(longest.clone());
    }
    assert_same_codes(&expressions);
}

#[test]
fn longer_expressions_by_chance() {
    const WORDS: [&str; 16] = ["a", "b", "", "0", "7", "\\-n", "-n", "-z", "=", "-lt", "!", "-a", "-o", "(", ")", "-f"];
    let mut chance = 12345_u64;
    let mut next = |most: usize| {
        chance = chance.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (chance >> 33) as usize % most
    };
    let expressions: Vec<Vec<&str>> =
        (0..600).map(|_| (0..4 + next(6)).map(|_| WORDS[next(WORDS.len())]).collect()).collect();
    assert_same_codes(&expressions);
}

#[test]
fn operators_hold_for_what_they_should() {
    let dir = Scratch::new("eltest");
    let file = dir.file("file", "x");
    let empty = dir.file("empty", "");
    let link = dir.0.join("link").display().to_string();
    std::os::unix::fs::symlink("/no/such/file", &link).expect("ours");
    let fifo = dir.0.join("fifo").display().to_string();
    assert_ours("s6-mkfifo", &[&fifo], "", 0);
    let _socket = std::os::unix::net::UnixListener::bind(dir.0.join("socket")).expect("ours");
    let socket = dir.0.join("socket").display().to_string();
    let special = dir.file("special", "");
    assert_ours("s6-chmod", &["7755", &special], "", 0);
    let files = [file.as_str(), &empty, &link, &fifo, &socket, &special, "/dev/null", "/tmp", "/no/such/file"];
    let unary = [
        "-e", "-f", "-d", "-h", "-L", "-b", "-c", "-p", "-S", "-r", "-w", "-x", "-s", "-u", "-g", "-k", "-O", "-U", "-G",
        "-N",
    ];
    let mut expressions: Vec<Vec<&str>> =
        unary.iter().flat_map(|operator| files.map(|file| vec![*operator, file])).collect();
    // Seconds apart: Debian's looks no closer.
    for (path, second) in [(&file, 1_000_000_000), (&empty, 1_000_000_001)] {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
        std::fs::File::open(path).and_then(|file| file.set_modified(time)).expect("ours");
    }
    for operator in ["-nt", "-ot"] {
        let files = [file.as_str(), &empty, "/no/such/file"];
        expressions.extend(files.iter().flat_map(|left| files.map(|right| vec![*left, operator, right])));
    }
    expressions.push(vec![&file, "-ef", &file]);
    expressions.push(vec![&file, "-ef", &empty]);
    let words = ["", "a", "b", "-", "0", "7", "-7", "+7", "007", "7x", "x7", "99"];
    for operator in ["=", "!=", "<", "<=", ">", ">=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge"] {
        expressions.extend(words.iter().flat_map(|left| words.map(|right| vec![*left, operator, right])));
    }
    for (text, regex) in
        [("abbc", "^ab+c$"), ("abc", "b"), ("abc", "^b"), ("", "^$"), ("a.c", "a\\.c"), ("abc", "a\\.c"), ("x", "x{2,1}")]
    {
        expressions.push(vec![text, "=~", regex]);
    }
    expressions.extend([vec!["-v", "PATH"], vec!["-v", "NO_SUCH"], vec!["-t", "0"], vec!["-t", "x"], vec!["-t", "77"]]);
    assert_same_codes(&expressions);
}

#[test]
fn where_ours_is_right_and_theirs_is_not() {
    assert_ours("eltest", &["/", "-ef", "/no/such/file"], "", 1);
    assert_ours("eltest", &["2147483648", "-gt", "0"], "", 0);
}

#[test]
fn the_idioms_of_finish_scripts() {
    for (words, code) in [
        (&["256", "-ne", "0", "-a", "256", "-ne", "256"][..], 1),
        (&["1", "-ne", "0", "-a", "1", "-ne", "256"], 0),
        (&["x1", "=", "x1"], 0),
        (&["-d", "/tmp", "-a", "!", "-e", "/no/such/file"], 0),
        (&["(", "1", "-eq", "2", "-o", "1", "-eq", "1", ")"], 0),
        (&[], 1),
    ] {
        assert_ours("s6-test", words, "", code);
    }
    let said = Said::by(ours("s6-test").args(["a", "=", "b", "c"]));
    assert_eq!(said.code, 100);
    assert!(said.err.starts_with("s6-test: fatal: 'c' (word 4) cannot stand there\n"), "{said:?}");
}
