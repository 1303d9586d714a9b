//! The Maker: a user's own classes.
//!
//! [`train`] makes a head from the embeddings of pictures; [`export`] cuts a model before its last layer
//! and appends that head.
#![forbid(unsafe_code)]

pub mod export;
mod shell;
pub mod train;
