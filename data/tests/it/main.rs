//! Integration tests of the data crate: files of every kind, selections, damage, real samples.

mod broken;
mod dataset;
mod inspect;
mod kinds;
mod samples;
mod select;
mod support;
mod write;
