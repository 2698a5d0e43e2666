//! Scripts made up at random: words with every way of quoting, blocks in blocks, substitution, loops, and how programs end.

/// Chance that can be played again: the same seed gives the same script on every machine (SplitMix64).
pub struct Author {
    state: u64,
    script: String,
    /// How many blocks deep the next command stands.
    depth: usize,
}

/// What variables and keys are called.
const NAMES: [&str; 4] = ["A", "B", "C", "V"];
/// What is put into them: with delimiters in all places, with references, with none.
const VALUES: [&str; 14] = [
    "",
    "x",
    "one two",
    " lead",
    "trail ",
    "a  b",
    "1,2,3",
    ",a,,b,",
    "$A",
    "${B}y",
    r"\\$A",
    r"\\\\${C}",
    "a\\n",
    "1:a,2:bc,",
];

impl Author {
    /// The script of this seed.
    pub fn script(seed: u64) -> String {
        let mut author = Author { state: seed, script: String::new(), depth: 0 };
        if author.chance(30) {
            let options = author.pick(&["-S0", "-S2", "-S5", "-s1", "-s4", "--", "-p", "-W", "-w"]);
            author.script = format!("#!{options}\n");
        }
        author.command(0);
        author.script
    }

    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    fn put(&mut self, text: &str) {
        self.script += text;
        let blank = self.pick(&[" ", " ", " ", "\n", "  ", "\t", " # note {\n", " \\\n"]);
        self.script += blank;
    }

    /// A word of characters in all ways of writing them, with references.
    fn word(&mut self) {
        let mut word = String::new();
        for _ in 0..1 + self.below(3) {
            let piece = self.pick(&[
                "a",
                "b-c",
                "$A",
                "${A}",
                "$B",
                "${B}",
                "${C}",
                "$V",
                "$1",
                "${2}",
                "$@",
                "${#}",
                r"\\$A",
                r"\\\\${B}",
                r"\\",
                r"\ ",
                r"\#",
                "x#y",
                r"\{",
                "{}",
                "$",
                "${",
                "}z",
                "$$A",
                "${A${B}}",
            ]);
            let string = self.pick(&[
                "", " ", "a b", "{", "}", "#", r"\t", r"\x", r"\0x41", r"\0101", r"\65", "\\\n", r"\\${A}", "$A", "${B}c",
                "é", r"\255",
            ]);
            if self.chance(40) {
                word += &format!("\"{string}\"");
            } else {
                word += piece;
            }
        }
        // Alone these would be no words.
        if ["{", "}"].contains(&word.as_str()) {
            word = "x".into();
        }
        self.put(&word);
    }

    fn words(&mut self, most: usize) {
        for _ in 0..self.below(most + 1) {
            self.word();
        }
    }

    /// A word that stands for a value. It does not begin with a dash, nor is it missing.
    fn value(&mut self) {
        let value = self.pick(&VALUES);
        self.put(&format!("\"{}\"", value.replace('"', "")));
    }

    fn name(&mut self) {
        let name = self.pick(&NAMES);
        self.put(name);
    }

    fn maybe(&mut self, percent: usize, options: &[&'static str]) {
        if self.chance(percent) {
            let option = self.pick(options);
            self.put(option);
        }
    }

    fn block(&mut self, inside: impl FnOnce(&mut Author)) {
        self.put("{");
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        // The brace must not be part of a word.
        self.script += " ";
        self.put("}");
    }

    fn program(&mut self) {
        self.block(|author| {
            let length = author.depth * 2 + 1;
            author.command(length);
        });
    }

    /// A row of commands, shorter the deeper it stands.
    fn command(&mut self, length: usize) {
        if length > 6 || self.chance(8 * length) {
            return self.last();
        }
        let next = length + 1;
        match self.below(30) {
            0..=3 => {
                self.put("define");
                self.transformation();
                self.name();
                self.value();
                self.command(next);
            }
            4..=6 => {
                self.put("importas");
                self.maybe(30, &["-i", "-u", "-D d", "-D \"\""]);
                self.transformation();
                self.name();
                self.name();
                self.command(next);
            }
            7..=9 => {
                self.put("export");
                self.name();
                self.value();
                self.command(next);
            }
            10 => {
                self.put("unexport");
                self.name();
                self.command(next);
            }
            11..=13 => {
                self.put("foreground");
                self.program();
                if self.chance(40) {
                    self.put("importas E ? foreground { printf \"<%s>\" $E }");
                }
                self.command(next);
            }
            14..=15 => {
                self.put("if");
                self.maybe(40, &["-n", "-t", "-x 7", "-X", "-nt", "-Xn"]);
                self.program();
                self.command(next);
            }
            16 => {
                let name = self.pick(&["ifelse", "ifelse -n", "ifelse -X", "ifte", "ifte -n"]);
                self.put(name);
                self.program();
                self.program();
                self.command(next);
            }
            17 => {
                let name = self.pick(&["ifthenelse", "ifthenelse -X", "ifthenelse -s"]);
                self.put(name);
                self.program();
                self.program();
                self.program();
                self.command(next);
            }
            18..=19 => {
                self.put("multisubstitute");
                self.block(|author| {
                    for _ in 0..author.below(4) {
                        author.directive();
                    }
                });
                self.command(next);
            }
            20 => {
                self.multidefine();
                self.command(next);
            }
            21..=22 => {
                self.put("backtick");
                self.maybe(30, &["-N", "-n"]);
                self.maybe(30, &["-E"]);
                self.name();
                self.program();
                self.command(next);
            }
            23 => {
                self.put("pipeline");
                self.program();
                self.put("cat");
            }
            24 => {
                self.put("forx");
                self.maybe(50, &["-E", "-o 0", "-x 1,3", "-Eo 0,3"]);
                self.name();
                self.block(|author| author.words(3));
                self.command(next);
            }
            25 => {
                self.put("pipeline { printf \"one\\ntwo words\\n\\n,last\" } forstdin");
                self.maybe(60, &["-E", "-EN", "-C", "-Ed ,\\n", "-Eo 0", "-EC"]);
                self.name();
                self.command(next);
            }
            26 => {
                self.put("forbacktickx");
                self.maybe(60, &["-E", "-EN", "-EC", "-Ed ,", "-Ex 1", "-E0"]);
                self.name();
                self.program();
                self.command(next);
            }
            27 => {
                self.put("case");
                self.maybe(30, &["-s", "-i", "-N", "-e"]);
                self.word();
                self.block(|author| {
                    for _ in 0..author.below(3) {
                        let pattern = author.pick(&["a", "a.*", "\"(.)(.*)\"", "*", ".*b", "\"[a-c]*\"", "\"\""]);
                        author.put(pattern);
                        author.program();
                    }
                });
                self.command(next);
            }
            28 => {
                let name = self.pick(&[
                    "tryexec",
                    "background",
                    "heredoc 0",
                    "emptyenv -P",
                    "elgetpositionals -P4",
                    "shift",
                    "elgetopt ab:",
                ]);
                self.put(name);
                match name {
                    "tryexec" => self.program(),
                    "background" => {
                        self.program();
                        self.put("wait { }");
                    }
                    "heredoc 0" => {
                        self.value();
                        self.put("foreground { cat }");
                    }
                    _ => {}
                }
                self.command(next);
            }
            _ => {
                self.put("exec");
                self.command(next);
            }
        }
    }

    /// The end of a row.
    fn last(&mut self) {
        match self.below(10) {
            0..=5 => {
                self.put("printf \"[%s]\\n\"");
                self.words(4);
            }
            6 => self.put("redirfd -a 1 environment env -0"),
            7 => {
                let end =
                    self.pick(&["true", "false", "exit 3", "exit 200", "sh -c \"kill -9 $$\"", "nosuchprogram", "dollarat"]);
                self.put(end);
            }
            8 => self.put("withstdinas -E A printf \"<%s>\\n\" $A"),
            _ => {
                self.put("echo");
                self.words(3);
            }
        }
    }

    fn transformation(&mut self) {
        self.maybe(40, &["-s", "-sC", "-sn", "-sCn", "-n", "-C"]);
        self.maybe(20, &["-d ,", "-d \", \"", "-N", "-c"]);
    }

    fn directive(&mut self) {
        match self.below(4) {
            0 | 1 => {
                self.put("define");
                self.transformation();
                self.name();
                self.value();
            }
            2 => {
                self.put("importas");
                self.maybe(30, &["-i", "-u", "-D d"]);
                self.transformation();
                self.name();
                self.name();
            }
            _ => self.multidefine(),
        }
    }

    fn multidefine(&mut self) {
        self.put("multidefine");
        self.maybe(50, &["-0", "-r", "-C", "-n", "-0r", "-d ,"]);
        self.value();
        self.block(|author| {
            for _ in 0..1 + author.below(3) {
                let name = author.pick(&["A", "B", "C", "\"\""]);
                author.put(name);
            }
        });
    }
}
