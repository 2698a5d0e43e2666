//! `svc manual [NAME]`: the man page of one of the commands that scripts call, or the list of them.

use std::ffi::OsString;

use svc_sys::exit;

const USAGE: &str = "\
Usage: svc manual [NAME]

Prints the man page of the command NAME in roff (`svc manual s6-svc | man -l -`), or one line for each command that there is.
";

pub fn main(arguments: Vec<OsString>) -> u8 {
    match arguments.get(1..) {
        Some([]) | None => {
            for command in crate::commands() {
                println!("{:24} {}", command.name, command.about);
            }
            exit::DONE
        }
        Some([word]) if word == "--help" || word == "-h" => {
            print!("{USAGE}");
            exit::DONE
        }
        Some([word]) => match word.to_str().and_then(crate::command) {
            Some(command) => {
                print!("{}", svc_compat::page(command));
                exit::DONE
            }
            None => {
                eprintln!("svc manual: {}: no such command: `svc manual` lists them", word.display());
                exit::USAGE
            }
        },
        Some(_) => {
            eprint!("{USAGE}");
            exit::USAGE
        }
    }
}
