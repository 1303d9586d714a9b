//! The Maker: a user's own classes.
//!
//! [`train`] makes a head from the embeddings of pictures; [`export`] cuts a model before its last layer
//! and appends that head. [`quantize`] makes float models smaller and faster,
//! [`prune`] smaller, [`inspect`] and [`macs`] say
//! what models are made of.
#![forbid(unsafe_code)]

pub mod export;
pub mod inspect;
pub mod macs;
pub mod prune;
pub mod quantize;
#[cfg(feature = "quantize")]
mod quantize_shell;
#[cfg(not(feature = "quantize"))]
mod shell;
pub mod train;
