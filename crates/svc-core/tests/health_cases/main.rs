//! The machine of health: case by case, and many lives at random.

#[path = "../support/rng.rs"]
mod rng;
#[path = "../support/seeds.rs"]
mod seeds;

mod cases;
mod lives;
