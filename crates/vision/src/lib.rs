//! achado vision
