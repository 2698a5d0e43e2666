//! What /init costs: told, and never a reason to fail, since the machine is not a quiet one.

use std::time::Instant;

use crate::boot::{Container, is_possible};
use crate::story::{Story, trees};

#[test]
fn boot_and_stop_are_told() {
    if !is_possible() {
        return;
    }
    let folder = trees().join("cmd_alone");
    let story = Story::read(&folder);
    let began = Instant::now();
    let mut container = Container::boot(&folder, &story);
    let code = container.wait();
    let took = began.elapsed();
    story.compare(code, &container.trace(), &container.output());
    eprintln!("a root of its own, /init, a main program that ends, and the end: {} ms", took.as_millis());
}
