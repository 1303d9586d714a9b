//! A model with a user's own classes: the network that made the embeddings, byte for byte, and a head
//! behind it.

mod base;
mod head;

pub use base::Base;
pub use head::{Export, HeadType, export, head_only};
