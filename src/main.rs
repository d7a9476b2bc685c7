//! natwatch's binary: see the library.
fn main() {}
