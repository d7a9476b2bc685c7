//! The rules of judgement, sentence by sentence; numbers are the rows of the fault catalogue.

mod course;
mod differences;
mod drill;
mod explain;
mod failback;
mod gates;
mod judge;
mod outcome;
mod outlook;
mod own;
mod properties;
mod route;
mod rows;
mod ruled;
mod service;
pub(super) mod support;
