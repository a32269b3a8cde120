//! Integration tests of the program: every command as a user runs it, on small toy samples.

mod bad_input;
mod bad_model;
mod compare;
mod config;
mod event_types;
mod events;
mod images;
#[cfg(feature = "hdf5")]
mod import;
mod memory;
mod mnist;
mod models;
mod program;
mod resume;
mod run;
mod sample;
mod shards;
mod simulate;
mod sweep;
mod toy;
mod validate;
