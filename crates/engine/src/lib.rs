//! achado engine
