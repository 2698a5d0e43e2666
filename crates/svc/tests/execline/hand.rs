//! Scripts by hand: each command with its options, its ends, and what it leaves in the environment.

use super::pair::{KILLED, compare};

#[test]
fn execlineb_and_its_lexer() {
    compare(&[
        ("", 0),
        ("# nothing\n", 0),
        ("echo a  \"b  c\" 'd' # e\n", 0),
        (r##"printf "[%s]\n" "" \a\ b a\"b "a\"b" \# a#b "#" "{" \{ {} "}" x{ "##, 0),
        (r#"printf "%s" "\a\b\t\n\v\f\r\0x41\0x7\0101\65\7z\e\\\"" "#, 0),
        ("echo a \\\n b\necho", 0),
        ("echo \"a\\\nb\nc\" d\\\ne", 0),
        ("echo \"a", 100),
        ("echo \"\\0\"", 100),
        ("echo \"\\256\"", 100),
        ("echo \"\\0x0\"", 100),
        ("echo }", 100),
        ("foreground { echo", 100),
        ("echo a\\", 100),
        ("foreground { foreground { echo a } foreground { echo b } echo { \"\" } } echo c", 0),
        ("nosuchprogram", 127),
        ("/dev/null", 126),
        ("./script", 126),
        ("\"\"", 126),
        ("#!-P -W\nforeground echo a \"\" echo b", 100),
        ("#!-P -w\nforeground echo a \"\" echo b", 0),
        ("#!-P -q\nforeground echo a \"\" env", 0),
        ("#!-P -W\nenv", 0),
        ("#!-Z\necho", 100),
        ("#!-Sx\necho", 100),
        ("export EXECLINE_STRICT x execlineb -Pc env", 0),
        ("execlineb", 100),
        ("execlineb /nonexistent", 111),
    ]);
}

#[test]
fn positional_parameters() {
    compare(&[
        ("#!-S0\nprintf \"[%s]\\n\" $0 $# $1 ${2} $3 $@ x${@}y $4", 0),
        ("#!-S5\nprintf \"[%s]\\n\" $# $3 $4 x${5}y $@ $6", 0),
        ("#!-s1\nprintf \"[%s]\\n\" $# $1 $@", 0),
        ("#!-s3\nprintf \"[%s]\\n\" $# $1 $@", 0),
        ("#!-s5\nprintf \"[%s]\\n\" $# $5 $@", 0),
        ("#!-W -S4\necho", 100),
        ("#!-q -S4\necho", 0),
        ("#!-P\nprintf \"[%s]\\n\" $# $1", 0),
        ("#!-p\nredirfd -w 1 e env -0", 0),
        ("#!--\nredirfd -w 1 e env -0", 0),
        ("#!--\nexecline-cd . execlineb -c \"redirfd -w 1 e env -0\" x y", 0),
        ("#!--\nexecline-cd . execlineb -pc \"redirfd -w 1 e env -0\" x y", 0),
        ("#!--\nexecline-cd . execlineb -c \"emptyenv -P redirfd -w 1 e env -0\" x y", 0),
        ("#!--\nelgetpositionals printf \"[%s]\\n\" $0 $# $1 $2 $@ $4", 0),
        ("#!--\nelgetpositionals -P5 printf \"[%s]\\n\" $# x${4}y ${5} $6", 0),
        ("elgetpositionals echo", 111),
        ("#!--\nunexport 2 elgetpositionals echo", 111),
        ("#!--\nexport \"#\" x elgetpositionals echo", 111),
        ("#!--\nshift elgetpositionals printf \"[%s]\\n\" $# $@", 0),
        ("#!--\nshift -n 2 redirfd -w 1 e env -0", 0),
        ("#!--\nshift -n 9 elgetpositionals printf \"[%s]\\n\" $# $@", 0),
        ("#!--\nshift -b 1 elgetpositionals printf \"[%s]\\n\" $# $@", 0),
        ("#!--\nshift -b 2 elgetpositionals printf \"[%s]\\n\" $# $@", 100),
        ("#!-W\nshift -n 9 echo", 100),
        ("shift echo", 100),
        ("shift", 100),
        ("#!--\ndollarat", 0),
        ("#!--\ndollarat -n -d ,", 0),
        ("#!--\ndollarat -0", 0),
        ("#!--\ndollarat -n -0 -d \"\"", 0),
        ("dollarat", 100),
        ("#!-P\nexport \"#\" 0 export 0 x dollarat -n", 0),
    ]);
}

#[test]
fn options_of_scripts() {
    compare(&[
        ("execlineb -c \"elgetopt ab:c redirfd -w 1 e env -0\" -- -a -bx -- -c y", 0),
        ("execlineb -c \"elgetopt -D yes ab: elgetpositionals printf \\\"[%s]\\n\\\" $# $@\" -- -ab x - y", 0),
        ("export ELGETOPT_a old execlineb -c \"elgetopt a redirfd -w 1 e env -0\" -- -a", 0),
        ("export ELGETOPT_a old execlineb -c \"elgetopt a emptyenv -o redirfd -w 1 e env -0\" -- -a", 0),
        ("execlineb -c \"elgetopt a echo\" -- -b", 1),
        ("execlineb -c \"elgetopt a: echo\" -- -a", 1),
        ("elgetopt a echo", 100),
        ("elgetopt", 100),
    ]);
}

#[test]
fn blocks_of_arguments() {
    let blocks = "execlineb -c \"COMMAND\" \" printf\" \" [%s]\" \"  x\" \"\" \" echo\" \" two\" \"\" echo rest";
    let scripts: Vec<(String, i32)> = [
        ("runblock 1", 0),
        ("runblock 2", 0),
        ("runblock -r 2", 0),
        ("runblock -r 0", 127),
        ("runblock 1 echo pre", 0),
        ("runblock -P 2 env", 0),
        ("runblock 3", 100),
        ("runblock 0", 100),
        ("runblock", 100),
        ("runblock -r 1 echo", 0),
        ("ifte { runblock 2 } { runblock -r 2 } runblock 1", 0),
        ("shift -b 1 elgetpositionals echo $@", 0),
        ("shift -n 1 -b 1 elgetpositionals echo $@", 0),
    ]
    .map(|(command, code)| (blocks.replace("COMMAND", command), code))
    .into();
    // `printf` cannot have a block's leading space, and `[x]` is no program: what the codes say is compared as well.
    let scripts: Vec<(&str, i32)> = scripts.iter().map(|(script, code)| (script.as_str(), *code)).collect();
    compare(&scripts);
}

#[test]
fn substitution() {
    compare(&[
        (
            "define A val foreground { echo $A \\\\$A \\\\\\\\$A \\\\\\\\\\\\$A \\\\\\\\\\\\\\\\$A } \
             echo $B \\\\$B \\\\\\\\$B",
            0,
        ),
        ("define A x printf \"[%s]\\n\" $Ab ${A}b $A. \"$A b\" a$A ${A ${${A}} $$A", 0),
        ("define -s A \"1 2  3 \" printf \"[%s]\\n\" x${A}y$A", 0),
        ("define -sC A \"  1 2  3  \" printf \"[%s]\\n\" x${A}y", 0),
        ("define -sn A \"1 2 3\" printf \"[%s]\\n\" x${A}y", 0),
        ("define -sCn A \"1 2   3  \" printf \"[%s]\\n\" x${A}y", 0),
        ("define -n A \"1 2 \" printf \"[%s]\\n\" x${A}y", 0),
        ("define -C A \"1    2  \" printf \"[%s]\\n\" x${A}y", 0),
        ("define -sd ,: A \"1,2:3,\" printf \"[%s]\\n\" x${A}y", 0),
        ("define -sd \"\" A \"1:a,0:,3:b c,\" printf \"[%s]\\n\" x${A}y", 0),
        ("define -sd \"\" A \"1:a,x\" echo", 111),
        ("define -s A \"\" printf \"[%s]\\n\" a x${A}y b", 0),
        ("define A \"\" printf \"[%s]\\n\" a $A b", 0),
        ("define -s A \"a b\" define -s B \"1 2\" printf \"[%s]\\n\" ${A}x${B}", 0),
        ("multisubstitute { define -s A \"a b\" define -s B \"1 2\" } printf \"[%s]\\n\" ${B}x${A}", 0),
        ("multisubstitute { define B ${A} define A x } echo $A $B", 0),
        ("multisubstitute { } echo a", 0),
        ("multisubstitute { define A x define A y } echo", 100),
        ("multisubstitute { nonsense A x } echo", 100),
        ("multisubstitute { define A } echo", 100),
        ("multisubstitute { define A x }", 100),
        (
            "#!--\nmultisubstitute { importas -u X V elgetpositionals -P4 multidefine \"p q\" { K L } elglob -s G s* } \
          printf \"[%s]\\n\" $X $1 $4 $K $L $G",
            0,
        ),
        ("define \"\" x echo", 111),
        ("define A", 100),
        ("define A x", 0),
        ("importas A V printf \"[%s]\\n\" $A", 0),
        ("importas -su A V foreground { redirfd -w 1 e env -0 } printf \"[%s]\\n\" $A", 0),
        ("importas A NONE printf \"[%s]\\n\" a x${A}y b", 0),
        ("importas -D d A NONE printf \"[%s]\\n\" a x${A}y b", 0),
        ("importas -i A NONE echo", 100),
        ("importas -iu A V redirfd -w 1 e env -0", 0),
        ("multidefine \"a b c\" { X Y } printf \"[%s]\\n\" $X $Y", 0),
        ("multidefine \"a b\" { X Y Z } printf \"[%s]\\n\" $X $Y x${Z}z", 0),
        ("multidefine -0 \"a b\" { X Y Z } printf \"[%s]\\n\" $X $Y x${Z}z", 0),
        ("multidefine -r \"a b c d\" { X Y } printf \"[%s]\\n\" $X x${Y}", 0),
        ("multidefine -r \"a b c d\" { X Y \"\" } printf \"[%s]\\n\" $X x${Y}", 0),
        ("multidefine -Cd , \",,a,b\" { \"\" Y } printf \"[%s]\\n\" x${Y}", 0),
        ("multidefine \"a b\" { } echo", 100),
        ("multidefine \"a b\" { X X } echo", 111),
        ("foreground { touch f1 f2 .f3 } elglob -s A f* printf \"[%s]\\n\" $A x${A}", 0),
        ("elglob A nothing* printf \"[%s]\\n\" a $A b", 0),
        ("elglob -0 A nothing* printf \"[%s]\\n\" a $A b", 0),
        ("foreground { mkdir -p d1 } elglob -m A d? printf \"[%s]\\n\" $A", 0),
        ("foreground { touch f* } elglob A f\\\\* printf \"[%s]\\n\" $A", 0),
        ("elglob -e A f\\\\* printf \"[%s]\\n\" $A", 0),
        ("elglob A", 100),
    ]);
}

#[test]
fn conditions() {
    compare(&[
        ("if { true } echo yes", 0),
        ("if { false } echo yes", 1),
        ("if { sh -c \"exit 3\" } echo yes", 3),
        ("if { sh -c \"exit 200\" } echo yes", 128),
        ("if { sh -c \"kill -TERM $$\" } echo yes", 143),
        ("if -X { sh -c \"kill -TERM $$\" } echo yes", 143),
        ("if -Xn { sh -c \"kill -TERM $$\" } echo yes", 0),
        ("if -n { true } echo yes", 1),
        ("if -n { false } echo yes", 0),
        ("if -t { false } echo yes", 0),
        ("if -x 7 { false } echo yes", 7),
        ("if -x 7 -n { true } echo yes", 7),
        ("if -x 300 { false } echo yes", 100),
        ("if { nosuchprogram } echo yes", 111),
        ("if { } echo yes", 0),
        ("if { true }", 0),
        ("if true", 100),
        ("ifelse { true } { echo then } echo else", 0),
        ("ifelse { false } { echo then } echo else", 0),
        ("ifelse -n { false } { echo then } echo else", 0),
        ("ifelse { sh -c \"kill -9 $$\" } { echo then } echo else", 137),
        ("ifelse -X { sh -c \"kill -9 $$\" } { echo then } echo else", 0),
        ("ifelse { true }", 100),
        ("ifelse { false } { echo then }", 0),
        ("ifte { echo then } { echo else } true", 0),
        ("ifte { echo then } { echo else } false", 0),
        ("ifte -n { echo then } { echo else } false", 0),
        ("ifte { echo then } { echo else }", 100),
        ("ifte { echo then } { echo else } sh -c \"kill -9 $$\"", 137),
        ("ifthenelse { true } { sh -c \"exit 5\" } { echo else } importas R ? echo $R", 0),
        ("ifthenelse { false } { echo then } { sh -c \"exit 6\" } importas R ? echo $R", 0),
        ("ifthenelse { true } { echo then } { echo else }", 0),
        ("ifthenelse -s { true } { echo then } { echo else } more words", 0),
        ("ifthenelse -X { sh -c \"kill -9 $$\" } { echo then } { echo else } echo end", 0),
        ("ifthenelse { true } { echo }", 100),
    ]);
}

#[test]
fn sequences() {
    compare(&[
        ("foreground { echo a } echo b", 0),
        ("foreground { sh -c \"exit 200\" } importas R ? echo $R", 0),
        ("foreground { sh -c \"kill -9 $$\" } importas R ? echo $R", 0),
        ("foreground { nosuchprogram } importas R ? echo $R", 0),
        ("foreground { } importas R ? echo $R", 0),
        ("foreground { sh -c \"exit 3\" }", 0),
        ("foreground", 100),
        ("background { echo a } wait { } echo b", 0),
        ("background { exit 3 } importas P ! wait -o { $P } importas R ? echo $R", 0),
        ("background { echo a }", 0),
        ("background { } echo", 100),
        ("background { nosuchprogram } echo", 111),
        ("background -d { redirfd -w 1 /dev/null sleep 1000 } importas R ! if { kill $R } echo b", 0),
        ("pipeline { printf \"a\\nb\\n\" } cat -n", 0),
        ("pipeline -w { cat -n } printf \"a\\nb\\n\"", 0),
        ("pipeline -d { printf \"a\\nb\\n\" } cat", 0),
        ("pipeline -dw { redirfd -w 1 f cat } printf \"a\\nb\\n\"", 0),
        ("pipeline { echo a } pipeline { sed s/a/b/ } sed s/b/c/", 0),
        ("pipeline { nosuchprogram } cat", 111),
        ("pipeline { } cat", 0),
        ("pipeline { echo }", 100),
        ("fdclose 0 pipeline { echo a } cat", 0),
        ("fdclose 1 pipeline -w { redirfd -w 1 f cat } echo a", 0),
    ]);
}

#[test]
fn loops() {
    compare(&[
        ("forx A { a b \"\" c } importas -u B A printf \"[%s]\\n\" $B", 0),
        ("forx -E A { a \"b c\" } printf \"[%s]\\n\" $A", 0),
        ("forx A { } echo", 0),
        ("forx A { a }", 0),
        ("forx -E A { 0 1 2 } foreground { echo $A } exit $A", 0),
        ("forx -E -o 0 A { 0 1 2 } foreground { echo $A } exit $A", 1),
        ("forx -E -x 1,2 A { 0 3 2 1 } foreground { echo $A } exit $A", 2),
        ("forx -E -x 128 A { 0 200 1 } foreground { echo $A } exit $A", 128),
        ("forx -p A { 1 2 3 } redirfd -a 1 f echo x", 0),
        ("forx -p -o 0 A { 1 2 3 } importas A A if { test $A != 2 } true", 1),
        ("forx -p -x 5 A { 1 2 3 } false", 0),
        ("forx =A { a } echo", 100),
        ("forx A { a } nosuchprogram", 111),
        ("forx -o x A { a } echo", 100),
        ("forstdin -E A printf \"[%s]\\n\" $A", 0),
        ("forstdin -EN A printf \"[%s]\\n\" $A", 0),
        ("forstdin -EC A printf \"[%s]\\n\" $A", 0),
        ("forstdin -E -d \" \\n\" A printf \"[%s]\\n\" $A", 0),
        ("forstdin -Eo 0 A foreground { echo $A } false", 1),
        ("forstdin -p A true", 0),
        ("redirfd -r 0 /dev/null forstdin A echo", 1),
        ("pipeline { printf \"a\\\\0b\\\\0\" } forstdin -0E A echo $A", 0),
        ("pipeline { printf \"1:a,0:,3:b c,\" } forstdin -E -d \"\" A printf \"[%s]\\n\" $A", 0),
        ("pipeline { printf \"1:a\" } forstdin -E -d \"\" A printf \"[%s]\\n\" $A", 111),
        ("forstdin A", 100),
        ("forbacktickx -E A { printf \"a\\nb\\nc\" } printf \"[%s]\\n\" $A", 0),
        ("forbacktickx A { printf \"a\\nb\\nc\" } importas B A foreground { echo $B } head -n 1", 0),
        ("forbacktickx -E -0 -o 0 A { printf \"a\\\\0b\\\\0\" } foreground { echo $A } false", 1),
        ("forbacktickx -EN -d , A { printf a,b } printf \"[%s]\\n\" $A", 0),
        ("forbacktickx -e A { echo a } redirfd -w 1 e env -0", 0),
        ("fdclose 0 forbacktickx A { echo a } sh -c \"cat 2>/dev/null || echo closed\"", 0),
        ("forbacktickx A { } echo", 100),
        ("loopwhilex sh -c \"echo x >> f; test $(wc -l < f) -lt 3\"", 1),
        ("loopwhilex -n sh -c \"echo x >> f; test $(wc -l < f) -gt 2\"", 0),
        ("loopwhilex -x 0 sh -c \"echo x >> f; test $(wc -l < f) -gt 2\"", 0),
        ("loopwhilex -o 1,2 sh -c \"echo x >> f; test $(wc -l < f) -gt 2\"", 0),
        ("loopwhilex nosuchprogram", 111),
        ("loopwhilex", 100),
    ]);
}

#[test]
fn captures() {
    compare(&[
        ("backtick A { echo a } redirfd -w 1 e env -0", 0),
        ("backtick -N A { echo a } redirfd -w 1 e env -0", 0),
        ("backtick -E A { printf \"a b\\n\\n\" } printf \"[%s]\\n\" $A", 0),
        ("backtick A { false } echo", 1),
        ("backtick A { sh -c \"exit 200\" } echo", 128),
        ("backtick A { sh -c \"kill -9 $$\" } echo", 137),
        ("backtick A { printf \"a\\\\0b\" } echo", 124),
        ("backtick -I A { printf \"a\\n\\\\0b\" } redirfd -w 1 e env -0", 0),
        ("backtick -I A { sh -c \"echo a; exit 3\" } redirfd -w 1 e env -0", 0),
        ("export A x backtick -x A { false } redirfd -w 1 e env -0", 0),
        ("backtick -D d A { sh -c \"echo a; exit 3\" } redirfd -w 1 e env -0", 0),
        ("backtick -D d A { printf \"a\\\\0b\" } redirfd -w 1 e env -0", 0),
        ("backtick A { true } redirfd -w 1 e env -0", 0),
        ("backtick A { nosuchprogram } echo", 111),
        ("backtick A { } echo", 100),
        ("backtick A=B { echo } echo", 100),
        ("backtick -Ex A { false } printf \"[%s]\\n\" a $A", 100),
        ("withstdinas A redirfd -w 1 e env -0", 0),
        ("withstdinas -E A printf \"[%s]\\n\" $A", 0),
        ("pipeline { printf \"a\\n\" } withstdinas -N A redirfd -w 1 e env -0", 0),
        ("pipeline { printf \"a\\\\0b\" } withstdinas A redirfd -w 1 e env -0", 0),
        ("pipeline { printf \"a\\\\0b\" } withstdinas -i A echo", 1),
        ("export A x pipeline { printf \"a\\\\0b\" } withstdinas -I A redirfd -w 1 e env -0", 0),
        ("pipeline { printf \"a\\\\0b\" } withstdinas -D d A redirfd -w 1 e env -0", 0),
        ("withstdinas", 100),
        ("getcwd A redirfd -w 1 e env -0", 0),
        ("getcwd -E A echo $A", 0),
        ("getcwd A", 100),
        ("getpid -E A test -d /proc/${A}", 0),
        ("getpid -PE A if { test -d /proc/${A} } getpid -E B if { test $A != $B } echo", 0),
    ]);
}

#[test]
fn the_environment() {
    compare(&[
        ("export A b redirfd -w 1 e env -0", 0),
        ("export A -x unexport V redirfd -w 1 e env -0", 0),
        ("export A=B c env", 100),
        ("export A b", 100),
        ("unexport V redirfd -w 1 e env -0", 0),
        ("unexport V", 100),
        ("export PATH /nonexistent redirfd -w 1 e /usr/bin/env -0", 0),
        ("unexport V export PATH /nonexistent env", 0),
        ("export PATH /nonexistent redirfd -w 1 e env -0", 127),
        ("emptyenv env", 0),
        ("emptyenv -p env", 0),
        ("emptyenv", 100),
        ("export FD0 a export ELGETOPT_x b export 12 c export ? d export ! e emptyenv -c redirfd -w 1 e env -0", 0),
        ("export 1 a export 1:1 b export 1:2 c export \"#\" d emptyenv -P redirfd -w 1 e env -0", 0),
        ("export ELGETOPT_a b export ELGETOPT_a:1 c export 1 d emptyenv -o redirfd -w 1 e env -0", 0),
        (
            "fdreserve 3 multisubstitute { importas A FD0 importas B FD1 importas C FD2 } \
          if { test $A -ge 3 } if { test $A != $B } test $B != $C",
            0,
        ),
        ("fdreserve x echo", 100),
        ("fdreserve 99999999 echo", 100),
    ]);
}

#[test]
fn files_of_variables() {
    let cases: Vec<(String, i32)> = [
        (r#"A=1\nB = two words  \n\n# no\n  C="  x  y "z\n"#, 0),
        (r#"A=\nB=\"a\\\\n\\\\x41\\\\101\\\\q\"\n"#, 0),
        (r#"A=a\\\\\n  b\nB=c\\\\ \n"#, 0),
        (r#"A=a # b\nB=c=d"#, 0),
        (r#"A b=1\n"#, 1),
        (r#"=1\n"#, 1),
        (r#"A\n"#, 1),
        (r#"A=\"x\n\""#, 1),
        (r#"A=\\\\x\n"#, 1),
        (r#"A?=x\n"#, 1),
        (r#"A=\"\\\\x4\""#, 1),
        ("", 0),
    ]
    .map(|(text, code)| {
        let text = text.replace("\\\"", "\"").replace('"', "\\\"");
        (format!("foreground {{ redirfd -w 1 f printf %b \"{text}\" }} envfile f redirfd -w 1 e env -0"), code)
    })
    .into();
    let cases: Vec<(&str, i32)> = cases.iter().map(|(script, code)| (script.as_str(), *code)).collect();
    compare(&cases);
    compare(&[
        ("pipeline { echo A=b } envfile - redirfd -w 1 e env -0", 0),
        ("envfile nothing env", 111),
        ("envfile -I nothing echo a", 0),
        ("envfile", 100),
    ]);
}

#[test]
fn descriptors() {
    compare(&[
        ("fdmove -c 3 1 fdmove 1 2 sh -c \"echo a >&3\"", 0),
        ("fdmove 4 1 fdmove 1 4 echo a", 0),
        ("fdmove 1 9 echo a", 111),
        ("fdmove -c 1 1 echo a", 111),
        ("fdmove 1 1 echo a", 0),
        ("fdmove x 1 echo a", 100),
        ("fdmove 1", 100),
        ("fdclose 0 sh -c \"cat 2>/dev/null || echo closed\"", 0),
        ("fdclose 0 foreground { true } fdmove 5 0 echo", 111),
        ("fdclose 1 fdmove -c 5 1 echo", 111),
        ("fdclose 9 echo a", 0),
        ("fdclose x echo a", 100),
        ("redirfd -w 3 f fdswap 1 3 foreground { echo a } fdswap 1 3 echo b", 0),
        ("fdswap 1 9 echo b", 111),
        ("fdswap 1 1 echo b", 0),
        ("piperw 3 4 foreground { fdmove 1 4 echo a } fdclose 4 fdmove 0 3 cat", 0),
        ("piperw 4 3 foreground { fdmove 1 3 echo a } fdclose 3 fdmove 0 4 cat", 0),
        ("piperw 3 3 echo", 100),
        ("heredoc 0 \"text\\n\" cat", 0),
        ("heredoc -d 5 text fdmove 0 5 cat", 0),
        ("heredoc x text cat", 100),
        ("fdblock -n 0 fdblock 0 cat", 0),
        ("fdblock 9 echo", 111),
        ("fdblock x echo", 100),
        ("redirfd -w 1 f echo a", 0),
        ("foreground { redirfd -w 1 f echo a } foreground { redirfd -a 1 f echo b } redirfd -r 0 f cat", 0),
        ("foreground { redirfd -x 1 f echo a } redirfd -x 1 f echo b", 111),
        ("foreground { redirfd -w 1 f echo abc } redirfd -u 1 f echo x", 0),
        ("redirfd -r 0 nothing cat", 111),
        ("redirfd -u 0 nothing cat", 111),
        ("redirfd 0 f cat", 100),
        ("redirfd -r x f cat", 100),
        ("redirfd -wr 0 script head -c 7", 0),
        ("foreground { mkfifo p } redirfd -r -nb 0 p redirfd -w 1 p foreground { echo a } fdclose 1 cat", 1),
        ("foreground { mkfifo p } redirfd -wnb 1 p redirfd -rn 0 p echo a", 0),
        ("fdclose 0 redirfd -r 0 script head -c 7", 0),
        ("fdclose 1 redirfd -w 1 f echo a", 0),
    ]);
}

#[test]
fn cases_of_values() {
    compare(&[
        ("case abc { abc { echo yes } } echo no", 0),
        ("case abc { b { echo yes } } echo no", 0),
        ("case abc { x { echo x } a.c { echo yes } } echo no", 0),
        ("case -N foooobarbaz { \"([fo]+)bar(baz)\" { redirfd -w 1 e env -0 } } echo no", 0),
        ("case -N b { \"(a)|(b)\" { redirfd -w 1 e env -0 } } echo no", 0),
        ("case -e \"a+\" { a+ { echo yes } } echo no", 0),
        ("case -i ABC { abc { echo yes } } echo no", 0),
        ("case abc { \"(\" { echo yes } } echo no", 100),
        ("case abc { }", 0),
        ("case abc { x }", 100),
        ("case abc", 100),
        ("case -s .a/b.c { *.c { echo yes } } echo no", 0),
        ("case -si .a { *a { echo yes } } echo no", 0),
        ("case -sN a/b { a* { echo yes } } echo no", 0),
        ("case -s * { \\\\* { echo yes } } echo no", 0),
        ("case -se \\\\x { \\\\* { echo yes } } echo no", 0),
        ("case abc { abc { } } echo no", 0),
        ("case abc { abc { nosuchprogram } } echo no", 127),
    ]);
}

#[test]
fn executing_and_ending() {
    compare(&[
        ("exec echo a", 0),
        ("exec -a name sh -c \"echo $0\"", 0),
        ("exec -l cat /proc/self/cmdline", 0),
        ("exec -l -a x cat /proc/self/cmdline", 0),
        ("exec -c env", 0),
        ("exec", 100),
        ("exec nosuchprogram", 127),
        ("tryexec { echo a } echo b", 0),
        ("tryexec { nosuchprogram } echo b", 0),
        ("tryexec -n { echo a } nosuchprogram", 0),
        ("tryexec -n { echo a }", 100),
        ("tryexec -c { nosuchprogram } redirfd -w 1 e env -0", 0),
        ("tryexec -c { env } echo", 0),
        ("tryexec -l { cat /proc/self/cmdline } echo", 0),
        ("tryexec { } echo", 100),
        ("tryexec { nosuchprogram }", 0),
        ("exit", 0),
        ("exit 3", 3),
        ("exit 300", 44),
        ("exit x", 100),
        ("homeof root", 0),
        ("homeof nosuchuser", 111),
        ("homeof", 100),
        ("cd / pwd", 0),
        ("execline-cd /usr/bin getcwd -E A echo $A", 0),
        ("cd /nonexistent pwd", 111),
        ("cd /", 100),
        ("umask 027 sh -c umask", 0),
        ("execline-umask 0 sh -c umask", 0),
        ("execline-umask 9 echo", 100),
        ("umask 022", 100),
    ]);
}

#[test]
fn as_posix_has_them() {
    compare(&[
        ("posix-cd / printenv PWD", 0),
        ("export PWD /usr posix-cd bin sh -c \"/bin/pwd; echo $PWD $OLDPWD\"", 0),
        ("export HOME /usr posix-cd -- /usr/bin/../lib/./ printenv PWD", 0),
        ("export HOME /usr posix-cd", 0),
        ("posix-cd", 100),
        ("export OLDPWD /usr posix-cd - printenv PWD", 0),
        ("export CDPATH /nonexistent:/usr posix-cd lib printenv PWD", 0),
        ("export CDPATH /usr posix-cd ./lib echo", 111),
        ("posix-cd -P /usr/lib/.. printenv PWD", 0),
        ("posix-cd /nonexistent echo", 111),
        ("umask 027 posix-umask", 0),
        ("umask 027 posix-umask -S", 0),
        ("posix-umask 077 posix-umask", 0),
        ("umask 022 posix-umask g+w,o-x posix-umask", 0),
        ("umask 022 posix-umask u=rwx,g=u,o-rwx posix-umask", 0),
        ("posix-umask z=r posix-umask", 1),
        ("posix-umask 022", 0),
    ]);
}

#[test]
fn waiting() {
    compare(&[
        ("wait { } echo a", 0),
        ("wait echo", 100),
        ("background { sleep 0.1 } wait { } echo a", 0),
        ("background { exit 7 } importas P ! wait $P", 7),
        ("background { sh -c \"kill -9 $$\" } importas P ! wait $P", 137),
        ("wait 99999999", 127),
        ("wait", 0),
        ("background { sleep 100 } importas P ! foreground { wait -t 50 { $P } echo late } kill $P", 0),
        ("background { sleep 100 } importas P ! background { wait -it 50 { } echo late } kill $P", 0),
        ("background { sleep 100 } importas P ! foreground { kill $P } wait -t 30000 { $P } echo in time", 0),
        ("background { sleep 100 } importas P ! ifelse -n { wait -i -t 50 { } true } { kill $P } kill $P", 0),
        (
            "background { exit 4 } importas P ! wait -t 30000 -o { $P } multisubstitute { importas R ? importas Q ! } \
          foreground { echo $R } test $Q = $P",
            0,
        ),
        ("export ? x export ! y wait -o { } sh -c \"env | grep -c '^[?!]'\"", 1),
        ("background { exit 3 } wait -o { } importas R ? echo $R", 0),
        ("background { sleep 100 } importas P ! wait -or { $P } importas -D none R ? foreground { kill $P } echo $R", 0),
        ("wait -t x { } echo", 100),
    ]);
}

#[test]
fn traps() {
    compare(&[
        ("trap { SIGTERM { echo term } } sh -c \"exit 3\"", 3),
        ("trap { TERM { echo caught } } sh -c \"kill -TERM $PPID; sleep 0.3; exit 4\"", 4),
        ("trap { term { importas S SIGNAL echo $S } } sh -c \"kill -TERM $PPID; sleep 0.3; exit 4\"", 4),
        ("trap { 15 { echo a } } sh -c \"kill -9 $$\"", 137),
        ("trap { default { importas S SIGNAL echo $S } } sh -c \"kill -USR1 $PPID; sleep 0.3\"", 0),
        (
            "trap { default { echo d } usr1 { echo u } } sh -c \"kill -USR1 $PPID; sleep 0.3; kill -USR2 $PPID; sleep 0.3\"",
            0,
        ),
        (
            "trap { usr2 { importas P ! sh -c \"kill -TERM $0\" $P } } sh -c \"kill -USR2 $PPID; sleep 5 >/dev/null 2>&1 & wait\"",
            143,
        ),
        ("trap -x { USR1 { echo } } sh -c \"trap 'exit 9' USR2; kill -USR2 $PPID; sleep 5 >/dev/null 2>&1 & wait\"", 9),
        ("trap { USR1 { echo } } sh -c \"kill -TERM $PPID; sleep 0.1\"", KILLED),
        ("trap { KILL { echo } } echo", 100),
        ("trap { CHLD { echo } } echo", 100),
        ("trap { nonsense { echo } } echo", 100),
        ("trap { TERM { echo } term { echo } } echo", 100),
        ("trap { } echo", 100),
        ("trap { TERM { echo } }", 100),
        ("trap { TERM { echo } } nosuchprogram", 111),
    ]);
}
