//! What s6-overlay brings to the sources of an image, which those may name.

/// Name, type, and what it needs or has in it.
pub const OWN: [(&str, &str, &[&str]); 7] = [
    ("top", "bundle", &["base", "legacy-services", "user", "user2"]),
    ("base", "bundle", &["fix-attrs", "legacy-cont-init"]),
    ("user", "bundle", &[]),
    ("user2", "bundle", &[]),
    ("fix-attrs", "oneshot", &[]),
    ("legacy-cont-init", "oneshot", &["fix-attrs"]),
    ("legacy-services", "oneshot", &["base", "user"]),
];

/// Where an image has its sources, and where packages add to them: below each directory of `PACKAGES` that begins with `PACKAGE`.
pub const SOURCES: &str = "/etc/s6-overlay/s6-rc.d";
/// Where `user` and `user2` may be, too.
pub const BUNDLES: &str = "/etc/s6-overlay/user-bundles.d";
pub const PACKAGES: &str = "/package/admin";
pub const PACKAGE: &str = "s6-overlay";
pub const IN_PACKAGE: &str = "etc/s6-rc/sources";
