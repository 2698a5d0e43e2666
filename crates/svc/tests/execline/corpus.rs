//! Scripts in the ways of images that are out there.

use super::pair::compare;
use super::pair::{ours, run};

#[test]
fn idioms_of_images() {
    compare(&[
        // Run until it works, with a word for each try.
        ("forx -o 1 TRY { 1 2 3 } importas -u TRY TRY foreground { echo try $TRY } if { test $TRY != 2 } false", 0),
        ("forx -E -x 0 TRY { 1 2 3 } foreground { echo try $TRY } test $TRY = 2", 0),
        // A logger that reads what a program writes, and that program stays.
        ("pipeline -w { sed -u s/^/log:/ } foreground { echo line } redirfd -w 1 f echo end", 0),
        ("pipeline -dw { redirfd -w 1 f cat } fdmove -c 2 1 sh -c \"echo a >&2\"", 0),
        ("pipeline { printf \"a b\\nc\\n\" } forstdin LINE importas -u LINE LINE redirfd -a 1 f echo $LINE", 0),
        ("#!-S1\nif { test -n $1 } ifelse { test $# -gt 2 } { echo many: $@ } echo few", 0),
        ("#!--\nelgetpositionals emptyenv -P printf \"[%s]\\n\" $0 $@", 0),
        (
            "execlineb -c \"elgetopt vn: importas -D no V ELGETOPT_v importas -D 0 N ELGETOPT_n elgetpositionals emptyenv -oP \
          printf \\\"[%s]\\\\n\\\" $V $N $@\" -- -v -n 3 file",
            0,
        ),
        (
            "backtick -D 1000 -E UID { sh -c \"exit 1\" } define -s LIST \"a b\" multisubstitute { importas -D /data DIR DIR \
          define X ${UID} } echo $DIR $X $LIST",
            0,
        ),
        ("redirfd -w 1 f foreground { echo a } foreground { fdmove -c 2 1 echo b } exec echo c", 0),
        ("background -d { sh -c \"exit 0\" } cd / umask 022 export HOME /root exec echo started", 0),
        (" #!/bin/sh\nexec echo up", 0),
    ]);
}

/// Of 35 scripts that were looked at, 32 are this one: end, unless the service failed; otherwise take everything down.
#[test]
fn the_finish_script_of_five_lines() {
    let script = |code: &str| {
        format!(
            "#!-S1\nifelse {{ test {code} -eq 0 }} {{ exit }}\nif {{ test {code} -ne 0 }}\nif {{ test {code} -ne 256 }}\n\
             echo s6-svscanctl -t /var/run/s6/services\n"
        )
    };
    for (code, ends, out) in [("0", 0, ""), ("256", 1, ""), ("1", 0, "s6-svscanctl -t /var/run/s6/services\n")] {
        let script = script(code);
        compare(&[(&script, ends)]);
        assert_eq!(run(ours(), &script).result.out, out, "{script}");
    }
}
