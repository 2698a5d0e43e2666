//! Conventions of base images that svc serves, in a running system.
#![forbid(unsafe_code)]

mod dockerflow;
