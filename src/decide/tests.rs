//! The rules of judgement, sentence by sentence; numbers are the rows of the fault catalogue.

mod evidence;
mod gates;
mod judge;
mod outcome;
mod outlook;
mod properties;
mod support;
