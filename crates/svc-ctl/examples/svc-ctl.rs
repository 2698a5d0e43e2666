//! svc-ctl as a program of its own, for this crate's tests: users get it as a name of the multi-call binary.

fn main() {
    std::process::exit(svc_ctl::main(std::env::args_os().collect(), |_| false).into());
}
